#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "spec/annotations.h"
#include "spec/error.h"

using namespace coracle;

namespace {

std::string complaint(spec::Map<std::string_view> annotations) {
  spec::Spec spec;
  spec.annotations = std::move(annotations);
  try {
    spec::validate_known_annotations(spec);
    return "";
  } catch (const spec::Error& e) {
    return e.path();
  }
}

}  // namespace

TEST_CASE("annotations that cannot be honoured are refused by their key") {
  CHECK(complaint({}) == "");
  CHECK(complaint({{"run.oci.handler", "krun"}}) == "annotations[\"run.oci.handler\"]");
  CHECK(complaint({{"run.oci.handler", "wasm-smart"}}) == "");
  CHECK(complaint({{"run.oci.handler", ""}}) == "");
  CHECK(complaint({{"module.wasm.image/variant", "compat"}}) ==
        "annotations[\"module.wasm.image/variant\"]");
  CHECK(complaint({{"module.wasm.image/variant", "compat-smart"}}) == "");
  CHECK(complaint({{"run.oci.handler", "x"}, {"io.kubernetes.cri.container-type", "sandbox"}}) ==
        "");
  CHECK(complaint({{"run.oci.handler", "x"}, {"io.kubernetes.cri.container-type", "container"}}) !=
        "");
  CHECK(complaint({{"run.oci.seccomp.plugins", "a.so"}}) != "");
  CHECK(complaint({{"run.oci.systemd.force_cgroup_v1", "/x"}}) != "");
}

TEST_CASE("annotations: paths are absolute, the context type is one of SELinux's") {
  for (const char* key : {"run.oci.hooks.stdout", "run.oci.hooks.stderr", "run.oci.pidfd_receiver",
                          "run.oci.seccomp.receiver"}) {
    CHECK(complaint({{key, "x"}}) != "");
    CHECK(complaint({{key, "/x"}}) == "");
  }
  CHECK(complaint({{"run.oci.mount_context_type", "rootcontext"}}) == "");
  CHECK(complaint({{"run.oci.mount_context_type", "x"}}) != "");
}

TEST_CASE("annotations: a switch is on unless its value is 0") {
  spec::Spec spec;
  CHECK(!spec::is_set(spec, spec::kKeepGroups));
  spec.annotations = {{spec::kKeepGroups, "0"}};
  CHECK(!spec::is_set(spec, spec::kKeepGroups));
  spec.annotations = {{spec::kKeepGroups, ""}};
  CHECK(spec::is_set(spec, spec::kKeepGroups));
}

TEST_CASE("annotations that are done are told to engines, the others are not") {
  const spec::Strings keys = spec::done_annotations();
  const auto has = [&keys](std::string_view key) {
    return std::find(keys.begin(), keys.end(), key) != keys.end();
  };
  CHECK(has("org.systemd.property."));
  CHECK(has("run.oci.seccomp_bpf_data"));
  CHECK(!has("run.oci.handler"));
  CHECK(!has("krun."));
}
