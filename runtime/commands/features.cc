#include "runtime/commands/features.h"

#include "runtime/commands/help.h"
#include "runtime/commands/list_of_commands.h"
#include "runtime/host/host_report.h"
#include "spec/annotations.h"
#include "spec/documents.h"

namespace coracle::commands {

static std::string document(const spec::HostFacts* host) {
  std::string seccomp = libseccomp_version();
  spec::FeatureFacts facts;
  facts.version = CORACLE_VERSION;
  facts.libseccomp_version = seccomp;
  facts.unsafe_annotations = spec::done_annotations();
  facts.systemd = true;
  facts.systemd_user = true;
  facts.mount_options = host::known_mount_options();
  facts.checkpoint = true;  // criu itself is a matter of the machine
  facts.rdma = true;
  facts.apparmor = true;
  facts.selinux = true;
  facts.memory_policy = true;
  facts.idmap = true;
  facts.net_devices = true;
  facts.intel_rdt = true;
  facts.host = host;
  return spec::features_json(facts);
}

// What this build does, not what this machine has: a caller asks the runtime, not the kernel.
std::string features_text() { return document(nullptr); }

namespace {

struct FeaturesOptions {
  bool host = false;
};

constexpr Option kOptions[] = {
    option<&FeaturesOptions::host>("host", 0, nullptr,
                                   "say too what of it this machine lacks, and why"),
};

int features(const Globals&, const FeaturesOptions& options, const Words&) {
  spec::HostFacts host;
  if (options.host) host = host::report_host(host::this_host());
  print(document(options.host ? &host : nullptr) + "\n");
  return 0;
}

}  // namespace

constexpr Command kFeatures = {
    .name = "features",
    .summary = "Show what this runtime can do, as JSON",
    .options = kOptions,
    .run = parse_and_run<FeaturesOptions, features>,
};

}  // namespace coracle::commands
