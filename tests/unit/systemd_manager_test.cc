#include <doctest/doctest.h>
#include <sys/un.h>

#include "runtime/sys/unix_socket.h"
#include "runtime/systemd/manager.h"
#include "spec/error.h"
#include "tests/unit/fake_systemd.h"
#include "tests/unit/temporary_directory.h"

using namespace coracle;
using namespace coracle::systemd;
using tests::FakeSystemd;

namespace {

constexpr int kShort = 300;  // ms: how long a test waits for what does not come
constexpr int kLong = 20000;
constexpr char kPrivate[] = "unix:path=/run/systemd/private";

Manager manager_of(FakeSystemd& systemd, int timeout_ms = kLong, const char* address = kPrivate) {
  return Manager(Bus(address, systemd.client(), sys::Deadline(timeout_ms)), timeout_ms);
}

std::string job(const char* path) { return Writer().string(path).bytes(); }

// Everything goes well.
void willing(FakeSystemd& self, const Message& call) {
  if (call.member == "StartTransientUnit" || call.member == "StopUnit") {
    self.reply(call, "o", job("/job/1"));
    self.job_removed("/job/77", "failed");  // another's
    self.job_removed("/job/1", "done");
  } else if (call.member == "Get") {
    const bool version = call.body.find("Version") != std::string::npos;
    self.reply(call, "v",
               Writer().signature("s").string(version ? "252.39-1~deb12u1" : "/user/x").bytes());
  } else {
    self.reply(call, "", "");
  }
}

std::string error_of(const std::function<void()>& what) {
  try {
    what();
  } catch (const spec::Error& e) {
    return e.what();
  }
  return "";
}

}  // namespace

TEST_CASE("a unit is started: the call, its job, its end") {
  FakeSystemd systemd(willing);
  {
    Manager manager = manager_of(systemd);
    const std::vector<plan::UnitProperty> properties = {
        {"Slice", "s", {}, {"a.slice"}},
        {"MemoryMax", "t", {4096}, {}},
        {"Delegate", "b", {1}, {}},
        {"AllowedCPUs", "ay", {3, 128}, {}},
        {"IOReadBandwidthMax", "a(st)", {5}, {"/dev/block/8:0"}},
        {"After", "as", {}, {"b", "c"}},
    };
    CHECK(manager.start_unit("a.scope", properties, {12}) == Manager::Start::kDone);
  }
  REQUIRE(systemd.calls.size() == 1);
  const Message& call = systemd.calls[0];
  CHECK(call.signature == "ssa(sv)a(sa(sv))");
  CHECK(call.destination == "org.freedesktop.systemd1");
  Reader in(call.body);
  CHECK(in.string() == "a.scope");
  CHECK(in.string() == "replace");
  const uint32_t size = in.u32();
  in.align(8);
  const size_t begin = in.position();
  auto name = [&] {
    in.align(8);
    return in.string();
  };
  CHECK(name() == "Slice");
  CHECK(in.signature() == "s");
  CHECK(in.string() == "a.slice");
  CHECK(name() == "MemoryMax");
  CHECK(in.signature() == "t");
  CHECK(in.u64() == 4096);
  CHECK(name() == "Delegate");
  CHECK(in.signature() == "b");
  CHECK(in.u32() == 1);
  CHECK(name() == "AllowedCPUs");
  CHECK(in.signature() == "ay");
  CHECK(in.u32() == 2);
  CHECK(in.u8() == 3);
  CHECK(in.u8() == 128);
  CHECK(name() == "IOReadBandwidthMax");
  CHECK(in.signature() == "a(st)");
  in.u32();
  in.align(8);
  CHECK(in.string() == "/dev/block/8:0");
  CHECK(in.u64() == 5);
  CHECK(name() == "After");
  CHECK(in.signature() == "as");
  in.u32();
  CHECK(in.string() == "b");
  CHECK(in.string() == "c");
  CHECK(name() == "PIDs");
  CHECK(in.signature() == "au");
  CHECK(in.u32() == 4);
  CHECK(in.u32() == 12);
  CHECK(in.position() == begin + size);
  CHECK(in.u32() == 0);
  CHECK(in.is_good());
}

TEST_CASE("over a bus: Hello first, and signals are asked for") {
  FakeSystemd systemd(willing);
  {
    Manager manager = manager_of(systemd, kLong, "unix:path=/run/dbus/system_bus_socket");
    manager.stop_unit("a.scope");
  }
  std::string members;
  for (const Message& call : systemd.calls) members += call.member + " ";
  CHECK(members == "Hello AddMatch Subscribe StopUnit ResetFailedUnit ");
}

TEST_CASE("facts: the number of the version, the cgroup below which units are") {
  FakeSystemd systemd(willing);
  Manager manager = manager_of(systemd);
  const Facts facts = manager.facts();
  CHECK(facts.version == 252);
  CHECK(facts.control_group == "/user/x");
}

TEST_CASE("a failed unit of the same name is forgotten, one in use is not touched") {
  int starts = 0;
  auto exists = [&](int times) {
    return [&starts, times](FakeSystemd& self, const Message& call) {
      if (call.member == "StartTransientUnit" && starts++ < times) {
        self.refuse(call, "org.freedesktop.systemd1.UnitExists", "Unit a.scope already exists.");
      } else {
        willing(self, call);
      }
    };
  };
  {
    FakeSystemd systemd(exists(1));
    CHECK(manager_of(systemd).start_unit("a.scope", {}, {1}) == Manager::Start::kDone);
  }
  starts = 0;
  FakeSystemd systemd(exists(9));
  CHECK(manager_of(systemd).start_unit("a.scope", {}, {1}) == Manager::Start::kExists);
  CHECK(starts == 2);
}

TEST_CASE("a unit that is not there is stopped already") {
  FakeSystemd systemd([](FakeSystemd& self, const Message& call) {
    self.refuse(call, "org.freedesktop.systemd1.NoSuchUnit", "Unit a.scope not loaded.");
  });
  Manager manager = manager_of(systemd);
  CHECK_NOTHROW(manager.stop_unit("a.scope"));
  CHECK_NOTHROW(manager.kill_unit("a.scope"));
}

TEST_CASE("a refusal tells the annotation it is about") {
  FakeSystemd systemd([](FakeSystemd& self, const Message& call) {
    self.refuse(call, "org.freedesktop.DBus.Error.PropertyReadOnly",
                "Cannot set property Foo, or unknown property.");
  });
  Manager manager = manager_of(systemd);
  plan::UnitProperty foo = {"Foo", "b", {1}, {}, "annotations[\"x\"]"};
  const std::string words = error_of([&] { manager.start_unit("a.scope", {foo}, {1}); });
  CHECK(words.find("annotations[\"x\"]: unit a.scope: systemd refuses: Cannot set property Foo") ==
        0);
}

TEST_CASE("a job that fails is an error, and says where to look") {
  FakeSystemd systemd([](FakeSystemd& self, const Message& call) {
    self.reply(call, "o", job("/job/1"));
    self.job_removed("/job/1", "failed");
  });
  Manager manager = manager_of(systemd);
  const std::string words = error_of([&] { manager.start_unit("a.scope", {}, {1}); });
  CHECK(words.find("job failed") != words.npos);
  CHECK(words.find("journalctl -u a.scope") != words.npos);
}

TEST_CASE("the job may be over before its number is told") {
  FakeSystemd systemd([](FakeSystemd& self, const Message& call) {
    self.job_removed("/job/1", "done");
    self.reply(call, "o", job("/job/1"));
  });
  CHECK(manager_of(systemd).start_unit("a.scope", {}, {1}) == Manager::Start::kDone);
}

TEST_CASE("silence ends with the deadline, wherever it begins") {
  const int64_t begin = sys::monotonic_ms();
  auto in_time = [&] { return sys::monotonic_ms() - begin < 4 * kShort + 5000; };
  SUBCASE("before the authentication") {
    FakeSystemd systemd([](FakeSystemd& self) {
      while (self.read_more()) {
      }
    });
    CHECK(error_of([&] { manager_of(systemd, kShort); }).find("no answer in time") !=
          std::string::npos);
  }
  SUBCASE("after a call") {
    FakeSystemd systemd([](FakeSystemd&, const Message&) {});
    Manager manager = manager_of(systemd, kShort);
    CHECK(error_of([&] { manager.facts(); }).find("no answer in time") != std::string::npos);
  }
  SUBCASE("the job is never done") {
    FakeSystemd systemd(
        [](FakeSystemd& self, const Message& call) { self.reply(call, "o", job("/job/1")); });
    Manager manager = manager_of(systemd, kShort);
    CHECK(error_of([&] { manager.start_unit("a.scope", {}, {1}); }).find("no answer in time") !=
          std::string::npos);
  }
  SUBCASE("half a message") {
    FakeSystemd systemd([](FakeSystemd& self, const Message& call) {
      Message m;
      m.type = MessageType::kReturn;
      m.serial = 1;
      m.reply_serial = call.serial;
      self.write(encode(m).substr(0, 20));
    });
    Manager manager = manager_of(systemd, kShort);
    CHECK(error_of([&] { manager.description("a.scope"); }).find("no answer in time") !=
          std::string::npos);
  }
  CHECK(in_time());
}

TEST_CASE("a flood of signals does not put the deadline off") {
  FakeSystemd systemd([](FakeSystemd& self, const Message& call) {
    self.reply(call, "o", job("/job/1"));
    const int64_t end = sys::monotonic_ms() + 20 * kShort;
    while (sys::monotonic_ms() < end) self.job_removed("/job/2", "done");
  });
  const int64_t begin = sys::monotonic_ms();
  {
    Manager manager = manager_of(systemd, kShort);
    CHECK(error_of([&] { manager.start_unit("a.scope", {}, {1}); }).find("no answer in time") !=
          std::string::npos);
    CHECK(sys::monotonic_ms() - begin < 10 * kShort);
  }
}

TEST_CASE("who does not speak D-Bus, or speaks it badly, is told so") {
  auto words = [](std::function<void(FakeSystemd&)> life) {
    FakeSystemd systemd(std::move(life));
    return error_of([&] { manager_of(systemd, kLong).facts(); });
  };
  CHECK(words([](FakeSystemd& self) {
          self.write(std::string(10000, 'x'));
        }).find("does not speak D-Bus") != std::string::npos);
  CHECK(words([](FakeSystemd& self) {
          self.write("REJECTED EXTERNAL\r\n");
        }).find("does not let us in") != std::string::npos);
  CHECK(words([](FakeSystemd&) {}) != "");
  CHECK(words([](FakeSystemd& self) {
          if (self.let_in()) self.write("HTTP/1.1 400 Bad Request\r\n\r\n");
        }).find("does not speak D-Bus") != std::string::npos);
  CHECK(words([](FakeSystemd& self) {
          if (!self.let_in()) return;
          Message m;
          m.serial = 1;
          m.type = MessageType::kReturn;
          std::string bytes = encode(m);
          bytes[8] = 0;  // a serial of 0
          self.write(bytes);
        }).find("malformed message") != std::string::npos);
  CHECK(words([](FakeSystemd& self) { self.let_in(); }).find("closed by the other side") !=
        std::string::npos);
}

TEST_CASE("answers of the wrong shape are no answers") {
  FakeSystemd systemd([](FakeSystemd& self, const Message& call) {
    self.reply(call, "v", Writer().signature("as").u32(1000000).bytes());
  });
  Manager manager = manager_of(systemd, kLong);
  CHECK(manager.facts().version == 0);
  CHECK(manager.description("a.scope") == "");
}

TEST_CASE("the first address that answers is taken; all are named if none does") {
  const std::vector<std::string> nowhere = {"unix:path=/nonexistent/a", "unix:abstract=no such",
                                            "tcp:host=localhost", "unix:path=relative"};
  const std::string words = error_of([&] { Manager(nowhere, kShort); });
  for (const std::string& address : nowhere) CHECK(words.find(address) != words.npos);
  CHECK(words.find("No such file or directory") == words.npos);
  CHECK(words.find("--cgroup-manager cgroupfs") != words.npos);
}

TEST_CASE("a listener that never accepts costs no more than the deadline") {
  tests::TemporaryDirectory directory;
  sys::Fd dir = sys::open_at(sys::At::cwd(), directory.path().c_str(), O_RDONLY | O_DIRECTORY);
  const sys::Fd listener = sys::listen_at(dir, "bus", SOCK_STREAM);
  REQUIRE(listener);
  const std::string path = directory.path() + "/bus";
  std::vector<sys::Fd> waiting;  // the backlog is full
  for (int i = 0; i < 4; ++i)
    waiting.push_back(sys::connect_path(path.c_str(), SOCK_STREAM | SOCK_NONBLOCK));
  CHECK(waiting.back().error() == EAGAIN);
  const int64_t begin = sys::monotonic_ms();
  const std::string words = error_of([&] { Manager({"unix:path=" + path}, kShort); });
  CHECK(words.find("no answer in time") != words.npos);
  CHECK(sys::monotonic_ms() - begin < kShort + 5000);
}

TEST_CASE("where systemd is") {
  BusFacts facts;
  CHECK(bus_addresses(facts) ==
        std::vector<std::string>{kPrivate, "unix:path=/run/dbus/system_bus_socket"});
  facts.system_bus_address = "unix:path=/a;unix:path=/b";
  CHECK(bus_addresses(facts) == std::vector<std::string>{"unix:path=/a", "unix:path=/b"});
  facts.user = true;
  facts.uid = 1000;
  CHECK(bus_addresses(facts) ==
        std::vector<std::string>{"unix:path=/run/user/1000/bus",
                                 "unix:path=/run/user/1000/systemd/private"});
  facts.session_bus_address = "unix:path=/s";
  facts.xdg_runtime_dir = "/x";
  CHECK(bus_addresses(facts) == std::vector<std::string>{"unix:path=/s", "unix:path=/x/bus",
                                                         "unix:path=/x/systemd/private"});
  // Root of a user namespace without XDG_RUNTIME_DIR: it is not known whose namespace it is.
  facts = {};
  facts.user = true;
  CHECK(bus_addresses(facts).empty());
  CHECK(is_user_manager(1000, true));
  CHECK(is_user_manager(0, false));
  CHECK_FALSE(is_user_manager(0, true));
}

TEST_CASE("object paths of units") {
  CHECK(unit_object_path("a-1.scope") == "/org/freedesktop/systemd1/unit/a_2d1_2escope");
  CHECK(unit_object_path("1a.slice") == "/org/freedesktop/systemd1/unit/_31a_2eslice");
}
