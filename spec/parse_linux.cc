// The tables of `linux` and its parts but for resources (config-linux.md).

#include "spec/parse.h"

namespace coracle::spec {

static constexpr Field kIdMapping[] = {
    field<&LinuxIDMapping::containerID>("containerID", kRequired),
    field<&LinuxIDMapping::hostID>("hostID", kRequired),
    field<&LinuxIDMapping::size>("size", kRequired),
};

void read(const Value& value, LinuxIDMapping& out) { read_table(value, out, kIdMapping); }

template <>
struct Fields<LinuxNamespace> {
  static constexpr Field kTable[] = {
      field<&LinuxNamespace::type>("type", kRequired),
      field<&LinuxNamespace::path>("path"),
  };
};

template <>
struct Fields<LinuxTimeOffset> {
  static constexpr Field kTable[] = {
      field<&LinuxTimeOffset::secs>("secs"),
      field<&LinuxTimeOffset::nanosecs>("nanosecs"),
  };
};

template <>
struct Fields<LinuxDevice> {
  static constexpr Field kTable[] = {
      field<&LinuxDevice::path>("path", kRequired),
      field<&LinuxDevice::type>("type", kRequired),
      field<&LinuxDevice::major>("major"),
      field<&LinuxDevice::minor>("minor"),
      field<&LinuxDevice::fileMode>("fileMode"),
      field<&LinuxDevice::uid>("uid"),
      field<&LinuxDevice::gid>("gid"),
  };
};

template <>
struct Fields<LinuxNetDevice> {
  static constexpr Field kTable[] = {
      field<&LinuxNetDevice::name>("name"),
  };
};

template <>
struct Fields<LinuxSeccompArg> {
  static constexpr Field kTable[] = {
      field<&LinuxSeccompArg::index>("index", kRequired),
      field<&LinuxSeccompArg::value>("value", kRequired),
      field<&LinuxSeccompArg::valueTwo>("valueTwo"),
      field<&LinuxSeccompArg::op>("op", kRequired),
  };
};

template <>
struct Fields<LinuxSyscall> {
  static constexpr Field kTable[] = {
      field<&LinuxSyscall::names>("names", kRequired),
      field<&LinuxSyscall::action>("action", kRequired),
      field<&LinuxSyscall::errnoRet>("errnoRet"),
      field<&LinuxSyscall::args>("args"),
  };
};

template <>
struct Fields<LinuxSeccomp> {
  static constexpr Field kTable[] = {
      field<&LinuxSeccomp::defaultAction>("defaultAction", kRequired),
      field<&LinuxSeccomp::defaultErrnoRet>("defaultErrnoRet"),
      field<&LinuxSeccomp::architectures>("architectures"),
      field<&LinuxSeccomp::flags>("flags"),
      field<&LinuxSeccomp::listenerPath>("listenerPath"),
      field<&LinuxSeccomp::listenerMetadata>("listenerMetadata"),
      field<&LinuxSeccomp::syscalls>("syscalls"),
  };
};

template <>
struct Fields<LinuxIntelRdt> {
  static constexpr Field kTable[] = {
      field<&LinuxIntelRdt::closID>("closID"),
      field<&LinuxIntelRdt::schemata>("schemata"),
      field<&LinuxIntelRdt::l3CacheSchema>("l3CacheSchema"),
      field<&LinuxIntelRdt::memBwSchema>("memBwSchema"),
      field<&LinuxIntelRdt::enableMonitoring>("enableMonitoring"),
  };
};

template <>
struct Fields<LinuxMemoryPolicy> {
  static constexpr Field kTable[] = {
      field<&LinuxMemoryPolicy::mode>("mode"),  // required: validate_memory_policy
      field<&LinuxMemoryPolicy::nodes>("nodes"),
      field<&LinuxMemoryPolicy::flags>("flags"),
  };
};

template <>
struct Fields<LinuxPersonality> {
  static constexpr Field kTable[] = {
      field<&LinuxPersonality::domain>("domain", kRequired),
      field<&LinuxPersonality::flags>("flags"),
  };
};

static constexpr Field kLinux[] = {
    field<&Linux::uidMappings>("uidMappings"),
    field<&Linux::gidMappings>("gidMappings"),
    field<&Linux::sysctl>("sysctl"),
    field<&Linux::resources>("resources"),
    field<&Linux::cgroupsPath>("cgroupsPath"),
    field<&Linux::namespaces>("namespaces"),
    field<&Linux::devices>("devices"),
    field<&Linux::netDevices>("netDevices"),
    field<&Linux::seccomp>("seccomp"),
    field<&Linux::rootfsPropagation>("rootfsPropagation"),
    field<&Linux::maskedPaths>("maskedPaths"),
    field<&Linux::readonlyPaths>("readonlyPaths"),
    field<&Linux::mountLabel>("mountLabel"),
    field<&Linux::intelRdt>("intelRdt"),
    field<&Linux::memoryPolicy>("memoryPolicy"),
    field<&Linux::personality>("personality"),
    field<&Linux::timeOffsets>("timeOffsets"),
};

void read(const Value& value, Linux& out) { read_table(value, out, kLinux); }

}  // namespace coracle::spec
