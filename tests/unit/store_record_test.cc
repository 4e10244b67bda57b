#include <doctest/doctest.h>

#include <string>

#include "runtime/store/record.h"
#include "spec/error.h"

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
  r.cgroup_path = "/docker/c1";
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
  Record a;
  a.id = "c";
  std::string text = to_json(a);
  CHECK(text.find("\"process\"") == text.npos);
  Record b = parse_record(text, "state.json");
  CHECK(b.phase == Phase::kCreating);
  CHECK(b.process.pid == 0);
  CHECK(b.annotations.empty());
}

TEST_CASE("record: every phase has a name of its own") {
  for (Phase phase : {Phase::kCreating, Phase::kCreated, Phase::kStopping}) {
    Record a;
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
