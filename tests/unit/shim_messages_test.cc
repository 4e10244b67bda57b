#include <doctest/doctest.h>

#include <string>

#include "runtime/sys/protobuf.h"
#include "shim/containerd/messages.h"
#include "shim/containerd/options.h"

using namespace coracle::shim;
using coracle::sys::ProtoWriter;
using namespace std::string_view_literals;

namespace {

std::string create_bytes() {
  ProtoWriter mount;
  mount.bytes(1, "overlay").bytes(2, "overlay").bytes(4, "index=off").message(4, "lowerdir=/a:/b");
  ProtoWriter out;
  out.bytes(1, "c1").bytes(2, "/bundle").message(3, mount).number(4, 1);
  out.bytes(5, "/in").bytes(6, "/out").bytes(7, "/err").bytes(8, "/checkpoint");
  return out.message(10, any_bytes("type.googleapis.com/containerd.runc.v1.Options", "\x08\x01"))
      .bytes(77, "from a later version")
      .take();
}

}  // namespace

TEST_CASE("parse_create reads every field it knows and passes over the others") {
  const CreateTask task = parse_create(create_bytes());
  CHECK(task.id == "c1");
  CHECK(task.bundle == "/bundle");
  REQUIRE(task.rootfs.size() == 1);
  CHECK(task.rootfs[0].type == "overlay");
  REQUIRE(task.rootfs[0].options.size() == 2);
  CHECK(task.rootfs[0].options[1] == "lowerdir=/a:/b");
  CHECK(task.stdio.terminal);
  CHECK(task.stdio.in == "/in");
  CHECK(task.stdio.out == "/out");
  CHECK(task.stdio.err == "/err");
  CHECK(task.checkpoint == "/checkpoint");
  CHECK(task.options.type == "containerd.runc.v1.Options");
}

TEST_CASE("every cut of a message is refused or read, never more") {
  const std::string whole = create_bytes();
  int refused = 0;
  for (size_t size = 0; size < whole.size(); ++size) {
    try {
      parse_create(std::string_view(whole).substr(0, size));
    } catch (const Refusal& refusal) {
      CHECK(refusal.status() == ttrpc::Code::kInvalidArgument);
      ++refused;
    }
  }
  CHECK(refused > 50);
}

TEST_CASE("a field of the wrong type is refused") {
  CHECK_THROWS_AS(parse_create("\x08\x01"sv), Refusal);
  CHECK_THROWS_AS(parse_exec("\x1a\x01x"sv), Refusal);
  CHECK_THROWS_AS(parse_task("\x1a\x01x"sv, RequestKind::kKill), Refusal);
  CHECK_THROWS_AS(parse_update("\x12\x01x"sv), Refusal);
  CHECK_THROWS_AS(parse_checkpoint("\x0a"sv), Refusal);
}

TEST_CASE("parse_task: the same numbers mean what the call says") {
  const std::string kill =
      ProtoWriter().bytes(1, "c").bytes(2, "e").number(3, 9).number(4, 1).take();
  const TaskRequest killed = parse_task(kill, RequestKind::kKill);
  CHECK(killed.id == "c");
  CHECK(killed.exec_id == "e");
  CHECK(killed.signal == 9);
  CHECK(killed.all);
  const TaskRequest resized = parse_task(kill, RequestKind::kResize);
  CHECK(resized.width == 9);
  CHECK(resized.height == 1);
  CHECK(resized.signal == 0);
  // In Shutdown field 2 is `now`.
  parse_task(ProtoWriter().bytes(1, "c").number(2, 1).take(), RequestKind::kShutdown);
}

TEST_CASE("a process that has not exited has the year 1, said explicitly") {
  StdioPaths stdio;
  TaskState state;
  state.id = "c";
  state.stdio = &stdio;
  CHECK(state_response(state).find("\x08\x80\x92\xb8\xc3\x98\xfe\xff\xff\xff\x01"sv) !=
        std::string::npos);
}

TEST_CASE("events: topic and type go together") {
  const Event event = exit_event("c", "e", 12, 137, {5, 6});
  CHECK(event.topic == "/tasks/exit");
  CHECK(event.any ==
        "\x0a\x1a"
        "containerd.events.TaskExit\x12\x11"
        "\x0a\x01"
        "c\x12\x01"
        "e\x18\x0c\x20\x89\x01\x2a\x04\x08\x05\x10\x06"sv);
  CHECK(plain_event("oom", "OOM", "c").topic == "/tasks/oom");
}

TEST_CASE("options: those of runc's shim") {
  ProtoWriter out;
  out.number(1, 1).bytes(3, "/shims").number(4, 1000).bytes(6, "/usr/bin/runc").bytes(7, "/root");
  out.number(9, 1).bytes(12, "unix:///x").number(13, 3);
  std::vector<std::string> warnings;
  const Options options = parse_options({"containerd.runc.v1.Options", out.take()}, warnings);
  CHECK(options.no_pivot_root);
  CHECK_FALSE(options.no_new_keyring);
  CHECK(options.shim_cgroup == "/shims");
  CHECK(options.io_uid == 1000);
  CHECK(options.root == "/root");
  CHECK(options.systemd_cgroup);
  REQUIRE(warnings.size() == 1);  // of the others some are containerd's business: nothing to say
  CHECK(warnings[0].find("BinaryName") != std::string::npos);
}

TEST_CASE("options: those of the first shim, which have other numbers") {
  std::vector<std::string> warnings;
  const std::string value = ProtoWriter().number(1, 1).bytes(9, "/s").number(10, 7).take();
  const Options options = parse_options({"containerd.linux.runc.CreateOptions", value}, warnings);
  CHECK(options.no_pivot_root);
  CHECK_FALSE(options.systemd_cgroup);
  CHECK(options.shim_cgroup == "/s");
  CHECK(options.io_uid == 7);
}

TEST_CASE("options: the same as TOML") {
  const std::string toml =
      "# a comment\n[section]\nSystemdCgroup = true # why not\n  Root = \"/r # x\"\n"
      "IoUid=12\nNoPivotRoot = perhaps\nShimCgroup='/s'\nNovelty = 1\nBinaryName = \"crun\"\n"
      "CriuImagePath = \"\"\nCriuPath = \"/x/criu\"\nCriuWorkPath = '/w'\nTaskApiVersion = 3";
  std::vector<std::string> warnings;
  const std::string value = ProtoWriter().bytes(3, toml).take();
  const Options options = parse_options({"runtimeoptions.v1.Options", value}, warnings);
  CHECK(options.systemd_cgroup);
  CHECK(options.root == "/r # x");
  CHECK(options.io_uid == 12);
  CHECK(options.shim_cgroup == "/s");
  CHECK_FALSE(options.no_pivot_root);
  CHECK(options.criu_work_path == "/w");
  CHECK(warnings.size() == 4);
}

TEST_CASE("options of a checkpoint: both kinds, and no others") {
  ProtoWriter out;
  out.number(1, 1).number(2, 1).bytes(6, "network").bytes(6, "x").bytes(7, "full");
  const std::string value = out.bytes(8, "/eight").bytes(9, "/nine").take();
  const CheckpointOptions now =
      parse_checkpoint_options({"containerd.runc.v1.CheckpointOptions", value});
  CHECK(now.exit);
  CHECK(now.open_tcp);
  CHECK_FALSE(now.terminal);
  CHECK(now.empty_namespaces.size() == 2);
  CHECK(now.cgroups_mode == "full");
  CHECK(now.work_path == "/nine");
  CHECK(parse_checkpoint_options({"containerd.linux.runc.CheckpointOptions", value}).work_path ==
        "/eight");
  CHECK_FALSE(parse_checkpoint_options({}).exit);
  CHECK_THROWS_AS(parse_checkpoint_options({"some.Other", ""}), Refusal);
  CHECK_THROWS_AS(parse_checkpoint_options({"containerd.runc.v1.CheckpointOptions", "\x08"}),
                  Refusal);
}

TEST_CASE("options: none, unknown, malformed") {
  std::vector<std::string> warnings;
  parse_options({}, warnings);
  CHECK(warnings.empty());
  parse_options({"some.Other", "x"}, warnings);
  CHECK(warnings.size() == 1);
  CHECK_THROWS_AS(parse_options({"containerd.runc.v1.Options", "\x08"}, warnings), Refusal);
  CHECK_THROWS_AS(parse_options({"runtimeoptions.v1.Options", "\x12\x05x"}, warnings), Refusal);
}
