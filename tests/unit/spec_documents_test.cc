#include <doctest/doctest.h>

#include "spec/documents.h"
#include "spec/ids.h"
#include "spec/names.h"
#include "tests/unit/spec_samples.h"

using namespace coracle::spec;

namespace {

State sample() {
  State state;
  state.id = "c1";
  state.status = "running";
  state.pid = 42;
  state.bundle = "/b";
  return state;
}

// The strings of an array at a path of two keys, or of one.
struct Features {
  std::string ociVersionMin, ociVersionMax;
  std::vector<std::string> hooks, mountOptions, potentiallyUnsafeConfigAnnotations;
  std::vector<std::pair<std::string, std::string>> annotations;
};

}  // namespace

template <>
struct coracle::spec::Fields<Features> {
  static constexpr Field kTable[] = {
      field<&Features::ociVersionMin>("ociVersionMin", kRequired),
      field<&Features::ociVersionMax>("ociVersionMax", kRequired),
      field<&Features::hooks>("hooks", kRequired),
      field<&Features::mountOptions>("mountOptions", kRequired),
      field<&Features::potentiallyUnsafeConfigAnnotations>("potentiallyUnsafeConfigAnnotations",
                                                           kRequired),
      field<&Features::annotations>("annotations", kRequired),
  };
};

TEST_CASE("a state has what the specification wants") {
  CHECK(state_json(sample(), JsonStyle::kCompact) ==
        R"({"ociVersion":"1.3.0","id":"c1","pid":42,"status":"running","bundle":"/b"})");
}

TEST_CASE("a state with all its members, indented as peers do") {
  State state = sample();
  state.rootfs = "/b/rootfs";
  state.created = "2024-01-02T03:04:05.000000006Z";
  state.owner = "root";
  state.annotations = {{"k", "v"}};
  CHECK(state_json(state, JsonStyle::kSpaces) == R"({
  "ociVersion": "1.3.0",
  "id": "c1",
  "pid": 42,
  "status": "running",
  "bundle": "/b",
  "rootfs": "/b/rootfs",
  "created": "2024-01-02T03:04:05.000000006Z",
  "annotations": {
    "k": "v"
  },
  "owner": "root"
})");
}

TEST_CASE("a list is one line") {
  CHECK(list_json({}) == "[]");
  CHECK(list_json({sample(), sample()}) == cat("[", state_json(sample(), JsonStyle::kCompact), ",",
                                               state_json(sample(), JsonStyle::kCompact), "]"));
}

TEST_CASE("the seccomp agent's document") {
  CHECK(process_state_json(sample(), 7, {"seccompFd"}, "") ==
        cat(R"({"ociVersion":"1.3.0","fds":["seccompFd"],"pid":7,"state":)",
            state_json(sample(), JsonStyle::kCompact), "}"));
  CHECK(process_state_json(sample(), 7, {}, "m").find(R"("metadata":"m")") != std::string::npos);
}

TEST_CASE("features") {
  FeatureFacts facts;
  facts.version = "0.1.0";
  facts.libseccomp_version = "2.5.4";
  facts.unsafe_annotations = {"org.systemd.property."};
  facts.memory_policy = true;
  facts.idmap = true;
  std::string json = features_json(facts);
  Features features = read_json<Features>(json, "features");
  CHECK(features.ociVersionMin == "1.0.0");
  CHECK(features.ociVersionMax == "1.3.0");
  CHECK(features.hooks.size() == 6);
  CHECK(features.mountOptions.size() == std::size(kMountOptions));
  CHECK(features.potentiallyUnsafeConfigAnnotations.size() == 1);
  // What engines look for.
  for (std::string_view text :
       {R"("rro")", R"("tmpcopyup")", R"("ridmap")", R"("time")", R"("CAP_CHECKPOINT_RESTORE")",
        R"("SCMP_ACT_NOTIFY")", R"("SCMP_ARCH_RISCV64")", R"("MPOL_WEIGHTED_INTERLEAVE")",
        R"("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV")", R"("netDevices")", R"("monitoring")",
        R"("org.opencontainers.runc.checkpoint.enabled": "false")"}) {
    CAPTURE(text);
    CHECK(json.find(text) != std::string::npos);
  }
  facts.mount_options = {"ro"};
  CHECK(read_json<Features>(features_json(facts), "f").mountOptions.size() == 1);
}

TEST_CASE("names are listed once and in order") {
  auto sorted = [](const auto& list) {
    for (size_t i = 1; i < std::size(list); ++i) {
      CAPTURE(list[i]);
      CHECK(list[i - 1] < list[i]);
    }
  };
  sorted(kMountOptions);
  sorted(kSeccompActions);
  sorted(kSeccompOperators);
  sorted(kSeccompArchitectures);
  CHECK(std::size(kSeccompArchitectures) == 23);
  CHECK(std::size(kNamespaceTypes) == 8);
}

TEST_CASE("the example configurations are good ones") {
  for (const std::string& json : {example_config(), example_config_rootless(1000, 1001)}) {
    auto outcome = coracle::tests::check(json);
    CHECK(outcome.words == "");
    CHECK(outcome.warnings.empty());
  }
  auto document = Document::parse_config(example_config(), "c");
  CHECK(document.process().args == Strings{"sh"});
  CHECK(document.process().terminal);
  CHECK(document.spec.root->readonly);
  CHECK(document.spec.linux->namespaces.size() == 6);
  CHECK(find_namespace(document.spec, "network"));
  auto rootless = Document::parse_config(example_config_rootless(1000, 1001), "c");
  CHECK(rootless.spec.linux->uidMappings.at(0).hostID == 1000);
  CHECK(rootless.spec.linux->gidMappings.at(0).hostID == 1001);
  CHECK(!find_namespace(rootless.spec, "network"));
  CHECK(find_namespace(rootless.spec, "user"));
  CHECK(!rootless.spec.linux->resources);
  for (const Mount& mount : rootless.spec.mounts) {
    for (std::string_view option : mount.options) CHECK(!option.starts_with("gid="));
  }
}
