#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "runtime/criu/messages.h"
#include "runtime/sys/protobuf.h"

using namespace coracle::criu;
using coracle::sys::ProtoReader;
using coracle::sys::ProtoWriter;
using namespace std::string_view_literals;

namespace {

// The value of a field of a message that has it once: strings as they are, numbers in decimal;
// "-" if it is not there.
std::string field(std::string_view message, uint32_t number) {
  std::string found = "-";
  ProtoReader in(message);
  while (in.next()) {
    if (in.field() != number) continue;
    ProtoReader again = in;
    const std::string text(again.bytes());
    found = again.ok() ? text : std::to_string(in.number());
  }
  CHECK(in.ok());
  return found;
}

std::string options_of(const std::string& request) { return field(request, 2); }

}  // namespace

TEST_CASE("criu messages: a version request is what rpc.proto says, byte by byte") {
  CHECK(encode({Kind::kVersion, nullptr, true}) == "\x08\x0a\x20\x01"sv);
  CHECK(encode_notify_reply(true) == "\x08\x06\x18\x01"sv);
  CHECK(encode_notify_reply(false) == "\x08\x06\x18\x00"sv);
  CHECK(encode_feature_check() == "\x08\x09\x20\x01\x2a\x04\x08\x01\x10\x01"sv);
}

TEST_CASE("criu messages: what is not set is not sent, but for what criu would guess wrong") {
  Options options;
  options.images_dir = 7;
  options.cgroup_mode = CgroupMode::kIgnore;
  const std::string sent = options_of(encode({Kind::kDump, &options, false}));
  CHECK(field(sent, 1) == "7");
  CHECK(field(sent, 9) == "4");   // log_level
  CHECK(field(sent, 12) == "1");  // notify_scripts
  CHECK(field(sent, 24) == "1");
  CHECK(field(sent, 34) == "0");  // an absent mode is "soft"
  for (uint32_t other : {2,  3,  4,  5,  6,  7,  8,  10, 11, 13, 17, 23, 25, 26,
                         27, 37, 38, 39, 44, 48, 49, 50, 51, 52, 53, 60, 63, 64}) {
    CAPTURE(other);
    CHECK(field(sent, other) == "-");
  }
}

TEST_CASE("criu messages: every option has its number") {
  Options o;
  o.images_dir = 5;
  o.work_dir = 6;
  o.status_fd = 8;
  o.pid = 4711;
  for (bool Options::*flag :
       {&Options::leave_running, &Options::ext_unix_sk, &Options::tcp_established,
        &Options::tcp_close, &Options::tcp_skip_in_flight, &Options::evasive_devices,
        &Options::shell_job, &Options::file_locks, &Options::link_remap, &Options::track_mem,
        &Options::auto_dedup, &Options::lazy_pages, &Options::restore_sibling,
        &Options::orphan_pts_master})
    o.*flag = true;
  o.log_file = "dump.log";
  o.root = "/r";
  o.parent_img = "../p";
  o.freeze_cgroup = "/sys/fs/cgroup/x";
  o.config_file = "/c";
  o.cgroup_yard = "/y";
  o.lsm_profile = "apparmor:a";
  o.lsm_mount_context = "ctx";
  o.cgroup_root = "/box";
  o.page_server_address = "::1";
  o.page_server_port = 27;
  o.empty_namespaces = 0x40000000;
  o.network_lock = NetworkLock::kSkip;
  o.external_mounts = {{"/data", "name"}};
  o.join_namespaces = {{"ipc", "/n"}};
  o.externals = {"net[1]:extRootNetNS"};
  o.inherited = {{"pipe:[1]", 5}};
  const std::string sent = options_of(encode({Kind::kRestore, &o, false}));
  CHECK(field(sent, 2) == "4711");
  for (uint32_t flag : {3, 4, 5, 6, 7, 8, 15, 16, 18, 26, 46, 48, 50, 52}) {
    CAPTURE(flag);
    CHECK(field(sent, flag) == "1");
  }
  CHECK(field(sent, 10) == "dump.log");
  CHECK(field(sent, 13) == "/r");
  CHECK(field(sent, 14) == "../p");
  CHECK(field(sent, 17) == "6");
  CHECK(field(sent, 34) == "3");
  CHECK(field(sent, 37) == "net[1]:extRootNetNS");
  CHECK(field(sent, 38) == "1073741824");
  CHECK(field(sent, 44) == "/sys/fs/cgroup/x");
  CHECK(field(sent, 49) == "8");
  CHECK(field(sent, 51) == "/c");
  CHECK(field(sent, 53) == "apparmor:a");
  CHECK(field(sent, 60) == "/y");
  CHECK(field(sent, 63) == "ctx");
  CHECK(field(sent, 64) == "3");
  CHECK(field(field(sent, 11), 1) == "::1");
  CHECK(field(field(sent, 11), 2) == "27");
  CHECK(field(field(sent, 23), 1) == "/data");
  CHECK(field(field(sent, 23), 2) == "name");
  CHECK(field(field(sent, 25), 2) == "/box");
  CHECK(field(field(sent, 27), 1) == "pipe:[1]");
  CHECK(field(field(sent, 27), 2) == "5");
  CHECK(field(field(sent, 39), 1) == "ipc");
  CHECK(field(field(sent, 39), 2) == "/n");
}

TEST_CASE("criu messages: answers") {
  Response r;
  REQUIRE(decode(ProtoWriter()
                     .number(1, 6)
                     .number(2, 1)
                     .message(5, ProtoWriter().bytes(1, "post-restore").number(2, 77))
                     .text(),
                 r));
  CHECK(r.kind == Kind::kNotify);
  CHECK(r.success);
  CHECK(r.script == "post-restore");
  CHECK(r.notify_pid == 77);

  REQUIRE(decode(ProtoWriter()
                     .number(1, 1)
                     .present_number(2, 0)
                     .number(7, 22)
                     .bytes(9, "no")
                     .bytes(1000, "of a later version")
                     .text(),
                 r));
  CHECK_FALSE(r.success);
  CHECK(r.error == 22);
  CHECK(r.error_text == "no");
  CHECK(r.script.empty());

  const auto version = [&r](ProtoWriter body) {
    return decode(ProtoWriter().number(1, 10).number(2, 1).message(10, body).text(), r);
  };
  REQUIRE(version(ProtoWriter().number(1, 3).number(2, 17).number(4, 1)));
  CHECK(r.version == 31701);
  REQUIRE(version(ProtoWriter().number(1, 4).number(2, 2)));
  CHECK(r.version == 40200);
  CHECK_FALSE(version(ProtoWriter().number(1, 1u << 31).number(2, 2)));

  REQUIRE(decode(
      ProtoWriter().number(1, 2).number(2, 1).message(4, ProtoWriter().signed_number(1, -1)).text(),
      r));
  CHECK(r.restored_pid == 0);  // no pid at all
}

TEST_CASE("criu messages: what is no answer is refused") {
  Response r;
  CHECK_FALSE(decode("", r));
  CHECK_FALSE(decode("\xff\xff\xff", r));
  CHECK_FALSE(decode(ProtoWriter().number(1, 1).text(), r));                // no `success`
  CHECK_FALSE(decode(ProtoWriter().number(2, 1).text(), r));                // no `type`
  CHECK_FALSE(decode(ProtoWriter().bytes(1, "x").number(2, 1).text(), r));  // not a number
  CHECK_FALSE(decode(ProtoWriter().number(1, 6).number(2, 1).number(5, 1).text(), r));
  CHECK_FALSE(decode(ProtoWriter().number(1, 6).number(2, 1).message(5, "\x0a\x09").text(), r));
  const std::string whole = ProtoWriter()
                                .number(1, 6)
                                .number(2, 1)
                                .message(5, ProtoWriter().bytes(1, "pre-dump").number(2, 1))
                                .take();
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string changed = whole;
    for (int byte = 0; byte < 256; ++byte) {
      changed[at] = static_cast<char>(byte);
      decode(changed, r);  // the sanitized build watches
    }
    decode(whole.substr(0, at), r);
  }
}
