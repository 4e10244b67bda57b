#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "runtime/store/record.h"
#include "spec/error.h"
#include "spec/text.h"

using coracle::spec::cat;
using coracle::spec::Error;
using coracle::store::parse_record;
using coracle::store::Phase;
using coracle::store::Record;
using coracle::store::to_json;

namespace {

Record full_record() {
  Record r;
  r.phase = Phase::kCreated;
  r.id = "c1";
  r.bundle = "/b \"quoted\"\n";
  r.rootfs = "/b/rootfs";
  r.process = {4711, 18446744073709551615u};
  r.creator = {4710, 99};
  r.boot_id = "5b8bb646-934d-41a1-a7a0-083499978b4d";
  r.cgroup_path = "/docker.slice/docker-c1.scope";
  r.cgroup_manager = "systemd";
  r.unit = "docker-c1.scope";
  r.bus = "unix:path=/run/systemd/private";
  r.shim = "unix:///run/containerd/s/1";
  r.created = "2026-11-21T00:26:08.452607038Z";
  r.owner = 4294967294u;
  r.rootless = true;
  r.terminal = true;
  r.namespaces = 0x6c020000;
  r.own_pids = true;
  r.intel_rdt = "/sys/fs/resctrl/c1";
  r.intel_rdt_group = "/sys/fs/resctrl/c1";
  r.intel_rdt_monitor = "/sys/fs/resctrl/c1/mon_groups/c1";
  r.annotations = {{"org.x", "ä"}, {"", ""}};
  return r;
}

// As it is before the clone.
Record small_record() {
  Record r;
  r.id = "c1";
  r.boot_id = "5b8bb646-934d-41a1-a7a0-083499978b4d";
  r.created = "2026-11-21T00:26:08.452607038Z";
  return r;
}

// The error of reading a record in which one member has another value; "" if it is accepted.
std::string refusal(std::string_view member, std::string_view value) {
  Record record = full_record();
  record.bundle = "/b";  // without quotes, whose end would have to be found
  std::string text = to_json(record);
  const std::string key = cat('"', member, "\":");
  const size_t at = text.find(key) + key.size();
  REQUIRE(at >= key.size());
  const size_t end = text[at] == '{'   ? text.find('}', at) + 1
                     : text[at] == '"' ? text.find('"', at + 1) + 1
                                       : text.find_first_of(",}", at);
  text.replace(at, end - at, value);
  try {
    parse_record(text, "/run/c1/state.json");
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("record: what was written is read back") {
  Record a = full_record();
  Record b = parse_record(to_json(a), "state.json");
  CHECK(b.phase == a.phase);
  CHECK(b.id == a.id);
  CHECK(b.bundle == a.bundle);
  CHECK(b.rootfs == a.rootfs);
  CHECK(b.process.pid == a.process.pid);
  CHECK(b.process.start_time == a.process.start_time);
  CHECK(b.creator.pid == a.creator.pid);
  CHECK(b.creator.start_time == a.creator.start_time);
  CHECK(b.boot_id == a.boot_id);
  CHECK(b.cgroup_path == a.cgroup_path);
  CHECK(b.cgroup_manager == a.cgroup_manager);
  CHECK(b.unit == a.unit);
  CHECK(b.bus == a.bus);
  CHECK(b.shim == a.shim);
  CHECK(b.created == a.created);
  CHECK(b.owner == a.owner);
  CHECK(b.rootless);
  CHECK(b.terminal);
  CHECK(b.namespaces == a.namespaces);
  CHECK(b.own_pids);
  CHECK(b.intel_rdt == a.intel_rdt);
  CHECK(b.intel_rdt_group == a.intel_rdt_group);
  CHECK(b.intel_rdt_monitor == a.intel_rdt_monitor);
  CHECK(b.annotations == a.annotations);
}

TEST_CASE("record: one that has no process yet") {
  Record a = small_record();
  std::string text = to_json(a);
  CHECK(text.find("\"process\"") == text.npos);
  Record b = parse_record(text, "state.json");
  CHECK(b.phase == Phase::kCreating);
  CHECK(b.process.pid == 0);
  CHECK(b.annotations.empty());
}

TEST_CASE("record: every phase has a name of its own") {
  for (Phase phase : {Phase::kCreating, Phase::kCreated, Phase::kStopping}) {
    Record a = full_record();
    a.phase = phase;
    CHECK(parse_record(to_json(a), "state.json").phase == phase);
  }
}

TEST_CASE("record: keys of later versions are passed over") {
  std::string text = to_json(full_record());
  text.insert(1, "\"later\":{\"x\":[1]},");
  CHECK(parse_record(text, "state.json").id == "c1");
}

TEST_CASE("record: damage is an error with its place") {
  std::string text = to_json(full_record());
  for (const char* bad :
       {"", "{", "[]", "{}", "{\"format\":1}", "{\"format\":2,\"phase\":\"created\"}"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(parse_record(bad, "state.json"), Error);
  }
  CHECK_THROWS_AS(parse_record(text.substr(0, text.size() / 2), "state.json"), Error);
  std::string phase = text;
  phase.replace(phase.find("\"created\""), 9, "\"running\"");
  CHECK_THROWS_WITH_AS(parse_record(phase, "state.json"),
                       "state.json:1:21: phase: unknown: \"running\"", Error);
}

TEST_CASE("record: what a hostile one says is refused with its file and member") {
  struct Case {
    const char* member;
    const char* value;
  };
  const Case cases[] = {
      {"cgroupPath", R"("/a/../docker-c1.scope")"},
      {"cgroupPath", R"("docker-c1.scope")"},
      {"cgroupPath", R"("/")"},
      {"cgroupPath", R"("/a//docker-c1.scope")"},
      {"cgroupPath", R"("/a/./docker-c1.scope")"},
      {"cgroupPath", R"("/a\n/docker-c1.scope")"},
      {"cgroupPath", R"("/docker.slice/other.scope")"},
      {"cgroupPath", R"("/docker.slice/docker-c1.scope/")"},
      {"cgroupPath", "7"},
      {"cgroupManager", R"("other")"},
      {"id", R"("../c1")"},
      {"id", R"("")"},
      {"id", R"(".c1")"},
      {"bundle", R"("relative")"},
      {"rootfs", R"("../rootfs")"},
      {"process", R"({"pid":-1,"startTime":5})"},
      {"process", R"({"pid":0,"startTime":5})"},
      {"process", R"({"pid":1,"startTime":5})"},
      {"process", R"({"pid":4711,"startTime":0})"},
      {"process", R"({"pid":4194305,"startTime":5})"},
      {"process", R"({"pid":0,"startTime":0})"},
      {"creator", R"({"pid":-4710,"startTime":5})"},
      {"bootID", R"("")"},
      {"bootID", R"("5b8bb646-934d-41a1-a7a0-083499978b4D")"},
      {"systemdUnit", R"("../docker-c1.scope")"},
      {"systemdUnit", R"("a/docker-c1.scope")"},
      {"systemdUnit", R"("dbus.service")"},
      {"systemdBus", R"("tcp:host=example")"},
      {"systemdBus", R"("unix:path=/run\n/a")"},
      {"systemdBus", R"("")"},
      {"shim", R"("unix:///a\u001b[31m")"},
      {"created", R"("yesterday")"},
      {"owner", "-1"},
      {"owner", "4294967296"},
      {"namespaces", "1"},
      {"namespaces", "0.5"},
      {"rootless", "1"},
      {"intelRdt", R"("/etc")"},
      {"intelRdt", R"("/sys/fs/resctrl/../c1")"},
      {"intelRdtMonitor", R"("/sys/fs/resctrl/c1")"},
      {"intelRdtGroup", R"("shared")"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.member);
    CAPTURE(c.value);
    const std::string words = refusal(c.member, c.value);
    CHECK(words.starts_with("/run/c1/state.json:1:"));
    CHECK(words.find(cat(": ", c.member)) != std::string::npos);
    CHECK(words.find('\n') == std::string::npos);
  }
}

TEST_CASE("record: a long path and a NUL are refused") {
  const std::string component(256, 'a');
  CHECK(refusal("intelRdtGroup", cat("\"/", component, "\"")) != "");
  CHECK(refusal("bundle", cat("\"/", std::string(5000, 'a'), "\"")) != "");
  CHECK(refusal("bundle", "\"/a\\u0000b\"").find("NUL") != std::string::npos);
}

TEST_CASE("record: what may be missing, and what belongs together") {
  CHECK(refusal("cgroupPath", "\"\"") == "");  // systemd has not made it
  CHECK(refusal("creator", "null") == "");
  CHECK(refusal("process", "null").find(": process: is missing") != std::string::npos);
  CHECK(refusal("systemdUnit", "\"\"").find(": systemdBus: ") != std::string::npos);
  CHECK(refusal("cgroupManager", "\"cgroupfs\"").find(": systemdUnit: ") != std::string::npos);
  Record mounted = small_record();
  mounted.rootfs_mount = 7;
  CHECK_THROWS_WITH_AS(parse_record(to_json(mounted), "r"), "r:1:63: rootfs: is missing", Error);
}
