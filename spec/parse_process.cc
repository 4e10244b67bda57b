// The tables of `process` and its parts (config.md, "Process").

#include "spec/parse.h"

namespace coracle::spec {

template <>
struct Fields<Box> {
  static constexpr Field kTable[] = {
      field<&Box::height>("height", kRequired),
      field<&Box::width>("width", kRequired),
  };
};

// uid and gid may be left out, as in the schema and by every reader that has a zero value: 0.
template <>
struct Fields<User> {
  static constexpr Field kTable[] = {
      field<&User::uid>("uid"),           field<&User::gid>("gid"),
      field<&User::umask>("umask"),       field<&User::additionalGids>("additionalGids"),
      field<&User::username>("username"),
  };
};

template <>
struct Fields<LinuxCapabilities> {
  static constexpr Field kTable[] = {
      field<&LinuxCapabilities::bounding>("bounding"),
      field<&LinuxCapabilities::effective>("effective"),
      field<&LinuxCapabilities::inheritable>("inheritable"),
      field<&LinuxCapabilities::permitted>("permitted"),
      field<&LinuxCapabilities::ambient>("ambient"),
  };
};

template <>
struct Fields<POSIXRlimit> {
  static constexpr Field kTable[] = {
      field<&POSIXRlimit::type>("type", kRequired),
      field<&POSIXRlimit::hard>("hard", kRequired),
      field<&POSIXRlimit::soft>("soft", kRequired),
  };
};

template <>
struct Fields<Scheduler> {
  static constexpr Field kTable[] = {
      field<&Scheduler::policy>("policy", kRequired),
      field<&Scheduler::nice>("nice"),
      field<&Scheduler::priority>("priority"),
      field<&Scheduler::flags>("flags"),
      field<&Scheduler::runtime>("runtime"),
      field<&Scheduler::deadline>("deadline"),
      field<&Scheduler::period>("period"),
  };
};

template <>
struct Fields<LinuxIOPriority> {
  static constexpr Field kTable[] = {
      field<&LinuxIOPriority::class_>("class", kRequired),
      field<&LinuxIOPriority::priority>("priority"),
  };
};

template <>
struct Fields<CPUAffinity> {
  static constexpr Field kTable[] = {
      field<&CPUAffinity::initial>("initial"),
      field<&CPUAffinity::final>("final"),
  };
};

static constexpr Field kProcess[] = {
    field<&Process::terminal>("terminal"),
    field<&Process::consoleSize>("consoleSize"),
    field<&Process::user>("user"),
    field<&Process::args>("args"),
    field<&Process::commandLine>("commandLine"),
    field<&Process::env>("env"),
    field<&Process::cwd>("cwd", kRequired),
    field<&Process::capabilities>("capabilities"),
    field<&Process::rlimits>("rlimits"),
    field<&Process::noNewPrivileges>("noNewPrivileges"),
    field<&Process::apparmorProfile>("apparmorProfile"),
    field<&Process::oomScoreAdj>("oomScoreAdj"),
    field<&Process::scheduler>("scheduler"),
    field<&Process::selinuxLabel>("selinuxLabel"),
    field<&Process::ioPriority>("ioPriority"),
    field<&Process::execCPUAffinity>("execCPUAffinity"),
};

void read(const Value& value, Process& out) { read_table(value, out, kProcess); }

}  // namespace coracle::spec
