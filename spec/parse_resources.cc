// The tables of `linux.resources` and its parts (config-linux.md, "Control groups").

#include "spec/parse.h"

namespace coracle::spec {

template <>
struct Fields<LinuxDeviceCgroup> {
  static constexpr Field kTable[] = {
      field<&LinuxDeviceCgroup::allow>("allow", kRequired),
      field<&LinuxDeviceCgroup::type>("type"),
      field<&LinuxDeviceCgroup::major>("major"),
      field<&LinuxDeviceCgroup::minor>("minor"),
      field<&LinuxDeviceCgroup::access>("access"),
  };
};

template <>
struct Fields<LinuxMemory> {
  static constexpr Field kTable[] = {
      field<&LinuxMemory::limit>("limit"),
      field<&LinuxMemory::reservation>("reservation"),
      field<&LinuxMemory::swap>("swap"),
      field<&LinuxMemory::kernel>("kernel"),
      field<&LinuxMemory::kernelTCP>("kernelTCP"),
      field<&LinuxMemory::swappiness>("swappiness"),
      field<&LinuxMemory::disableOOMKiller>("disableOOMKiller"),
      field<&LinuxMemory::useHierarchy>("useHierarchy"),
      field<&LinuxMemory::checkBeforeUpdate>("checkBeforeUpdate"),
  };
};

template <>
struct Fields<LinuxCPU> {
  static constexpr Field kTable[] = {
      field<&LinuxCPU::shares>("shares"),
      field<&LinuxCPU::quota>("quota"),
      field<&LinuxCPU::burst>("burst"),
      field<&LinuxCPU::period>("period"),
      field<&LinuxCPU::realtimeRuntime>("realtimeRuntime"),
      field<&LinuxCPU::realtimePeriod>("realtimePeriod"),
      field<&LinuxCPU::cpus>("cpus"),
      field<&LinuxCPU::mems>("mems"),
      field<&LinuxCPU::idle>("idle"),
  };
};

// The schema requires `limit`; config-linux.md says OPTIONAL since 1.3, and holds.
template <>
struct Fields<LinuxPids> {
  static constexpr Field kTable[] = {
      field<&LinuxPids::limit>("limit"),
  };
};

template <>
struct Fields<LinuxWeightDevice> {
  static constexpr Field kTable[] = {
      field<&LinuxWeightDevice::major>("major", kRequired),
      field<&LinuxWeightDevice::minor>("minor", kRequired),
      field<&LinuxWeightDevice::weight>("weight"),
      field<&LinuxWeightDevice::leafWeight>("leafWeight"),
  };
};

template <>
struct Fields<LinuxThrottleDevice> {
  static constexpr Field kTable[] = {
      field<&LinuxThrottleDevice::major>("major", kRequired),
      field<&LinuxThrottleDevice::minor>("minor", kRequired),
      field<&LinuxThrottleDevice::rate>("rate", kRequired),
  };
};

template <>
struct Fields<LinuxBlockIO> {
  static constexpr Field kTable[] = {
      field<&LinuxBlockIO::weight>("weight"),
      field<&LinuxBlockIO::leafWeight>("leafWeight"),
      field<&LinuxBlockIO::weightDevice>("weightDevice"),
      field<&LinuxBlockIO::throttleReadBpsDevice>("throttleReadBpsDevice"),
      field<&LinuxBlockIO::throttleWriteBpsDevice>("throttleWriteBpsDevice"),
      field<&LinuxBlockIO::throttleReadIOPSDevice>("throttleReadIOPSDevice"),
      field<&LinuxBlockIO::throttleWriteIOPSDevice>("throttleWriteIOPSDevice"),
  };
};

template <>
struct Fields<LinuxHugepageLimit> {
  static constexpr Field kTable[] = {
      field<&LinuxHugepageLimit::pageSize>("pageSize", kRequired),
      field<&LinuxHugepageLimit::limit>("limit", kRequired),
  };
};

template <>
struct Fields<LinuxInterfacePriority> {
  static constexpr Field kTable[] = {
      field<&LinuxInterfacePriority::name>("name", kRequired),
      field<&LinuxInterfacePriority::priority>("priority", kRequired),
  };
};

template <>
struct Fields<LinuxNetwork> {
  static constexpr Field kTable[] = {
      field<&LinuxNetwork::classID>("classID"),
      field<&LinuxNetwork::priorities>("priorities"),
  };
};

template <>
struct Fields<LinuxRdma> {
  static constexpr Field kTable[] = {
      field<&LinuxRdma::hcaHandles>("hcaHandles"),
      field<&LinuxRdma::hcaObjects>("hcaObjects"),
  };
};

static constexpr Field kResources[] = {
    field<&LinuxResources::devices>("devices"),
    field<&LinuxResources::memory>("memory"),
    field<&LinuxResources::cpu>("cpu"),
    field<&LinuxResources::pids>("pids"),
    field<&LinuxResources::blockIO>("blockIO"),
    field<&LinuxResources::hugepageLimits>("hugepageLimits"),
    field<&LinuxResources::network>("network"),
    field<&LinuxResources::rdma>("rdma"),
    field<&LinuxResources::unified>("unified"),
};

void read(const Value& value, LinuxResources& out) { read_table(value, out, kResources); }

}  // namespace coracle::spec
