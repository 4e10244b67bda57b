// Configurations near the reader's limit of 65536 elements: everything is done in about linear
// time, so that nobody waits for minutes with a container's lock held.
#include <doctest/doctest.h>

#include <ctime>
#include <functional>
#include <string>

#include "runtime/plan/plan.h"
#include "spec/json.h"
#include "spec/text.h"
#include "spec/validate.h"

using namespace coracle;
using spec::cat;

namespace {

constexpr size_t kMany = 60000;
constexpr double kSeconds = 3;  // of processor time, where quadratic time would be minutes

std::string list(size_t count, const std::function<std::string(size_t)>& element) {
  std::string out;
  for (size_t i = 0; i < count; ++i) spec::append(out, i == 0 ? "" : ",", element(i));
  return out;
}

std::string config(std::string_view top, std::string_view process, std::string_view linux_section) {
  return cat(R"({"ociVersion":"1.3.0","root":{"path":"rootfs"})", top,
             R"(,"process":{"cwd":"/","args":["sh"])", process, R"(},"linux":{"namespaces":[)",
             R"({"type":"pid"},{"type":"mount"},{"type":"network"},{"type":"cgroup"}])",
             linux_section, "}}");
}

plan::CreateRequest request_with_unit() {
  plan::CreateRequest request;
  request.id = "id";
  request.bundle = "/bundle";
  request.unit = "id.scope";
  request.slice = "system.slice";
  request.cgroup_path = "/system.slice/id.scope";
  request.systemd_version = 252;
  return request;
}

// Reads, checks and plans; returns the processor time.
double seconds_for(std::string json) {
  const clock_t start = clock();
  plan::Host host;
  host.all_root = true;
  host.cgroup_path = "/a";
  host.controllers = {"cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma"};
  const auto document = spec::Document::parse_config(std::move(json), "config.json");
  plan::Warnings warnings;
  spec::validate(document, warnings);
  const auto block = plan::make_create(document.spec, request_with_unit(), host, warnings);
  plan::ExecRequest exec;
  const auto second = plan::make_exec(document.spec, document.process(), exec, host, warnings);
  CHECK(!block.empty());
  CHECK(!second.empty());
  return static_cast<double>(clock() - start) / CLOCKS_PER_SEC;
}

std::string mounts(const char* options) {
  return cat(R"(,"mounts":[)",
             list(kMany,
                  [options](size_t i) {
                    return cat(R"({"destination":"/m)", i,
                               R"(","type":"tmpfs","source":"t","options":[)", options, "]}");
                  }),
             "]");
}

std::string quoted_paths(const char* prefix) {
  return list(kMany, [prefix](size_t i) { return cat('"', prefix, i, '"'); });
}

}  // namespace

TEST_CASE("large: mounts, read-only ones too") {
  CHECK(seconds_for(config(mounts(""), "", "")) < kSeconds);
  CHECK(seconds_for(config(mounts("\"ro\""), "", "")) < kSeconds);
}

TEST_CASE("large: masked and read-only paths") {
  const std::string paths = cat(R"(,"maskedPaths":[)", quoted_paths("/proc/m"),
                                R"(],"readonlyPaths":[)", quoted_paths("/proc/r"), "]");
  CHECK(seconds_for(config("", "", paths)) < kSeconds);
}

TEST_CASE("large: devices") {
  const std::string devices = list(kMany, [](size_t i) {
    return cat(R"({"path":"/dev/d)", i, R"(","type":"c","major":1,"minor":)", i, "}");
  });
  CHECK(seconds_for(config("", "", cat(R"(,"devices":[)", devices, "]"))) < kSeconds);
}

TEST_CASE("large: network devices") {
  const std::string devices =
      list(kMany, [](size_t i) { return cat("\"e", i, R"(":{"name":"f)", i, "\"}"); });
  CHECK(seconds_for(config("", "", cat(R"(,"netDevices":{)", devices, "}"))) < kSeconds);
}

TEST_CASE("large: sizes of huge pages") {
  const std::string limits =
      list(kMany, [](size_t i) { return cat(R"({"pageSize":")", i + 1, R"(MB","limit":1})"); });
  CHECK(seconds_for(config("", "", cat(R"(,"resources":{"hugepageLimits":[)", limits, "]}"))) <
        kSeconds);
}

TEST_CASE("large: lists of CPUs that name each many times") {
  const auto repeated = [](const char* range) {
    return list(130000, [range](size_t) { return std::string(range); });
  };
  const std::string affinity =
      cat(R"(,"execCPUAffinity":{"initial":")", repeated("0-65535"), "\"}");
  CHECK(seconds_for(config("", affinity, "")) < kSeconds);
  const std::string cpus = cat(R"(,"resources":{"cpu":{"cpus":")", repeated("0-8191"), "\"}}");
  CHECK(seconds_for(config("", "", cpus)) < kSeconds);
}
