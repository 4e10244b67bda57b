// The tables of `vm` and its parts (config-vm.md).

#include "spec/parse.h"

namespace coracle::spec {

template <>
struct Fields<VMHypervisor> {
  static constexpr Field kTable[] = {
      field<&VMHypervisor::path>("path", kRequired),
      field<&VMHypervisor::parameters>("parameters"),
  };
};

template <>
struct Fields<VMKernel> {
  static constexpr Field kTable[] = {
      field<&VMKernel::path>("path", kRequired),
      field<&VMKernel::parameters>("parameters"),
      field<&VMKernel::initrd>("initrd"),
  };
};

template <>
struct Fields<VMImage> {
  static constexpr Field kTable[] = {
      field<&VMImage::path>("path", kRequired),
      field<&VMImage::format>("format", kRequired),
  };
};

template <>
struct Fields<IOMems> {
  static constexpr Field kTable[] = {
      field<&IOMems::firstGFN>("firstGFN"),
      field<&IOMems::firstMFN>("firstMFN", kRequired),
      field<&IOMems::nrMFNs>("nrMFNs", kRequired),
  };
};

template <>
struct Fields<HWConfig> {
  static constexpr Field kTable[] = {
      field<&HWConfig::deviceTree>("deviceTree"), field<&HWConfig::vcpus>("vcpus"),
      field<&HWConfig::memory>("memory"),         field<&HWConfig::dtdevs>("dtdevs"),
      field<&HWConfig::iomems>("iomems"),         field<&HWConfig::irqs>("irqs"),
  };
};

static constexpr Field kVm[] = {
    field<&VM::hypervisor>("hypervisor"),
    field<&VM::kernel>("kernel", kRequired),
    field<&VM::image>("image"),
    field<&VM::hwConfig>("hwConfig"),
};

void read(const Value& value, VM& out) { read_table(value, out, kVm); }

}  // namespace coracle::spec
