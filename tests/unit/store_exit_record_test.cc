#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>

#include "runtime/store/exit_record.h"
#include "runtime/sys/file.h"
#include "spec/error.h"
#include "tests/unit/temporary_directory.h"

using coracle::store::Container;
using coracle::store::Exit;
namespace store = coracle::store;
namespace sys = coracle::sys;

TEST_CASE("a wait status becomes what a shell would say") {
  const Exit plain = store::exit_of(7 << 8);
  CHECK(plain.code == 7);
  CHECK(plain.signal == 0);
  const Exit killed = store::exit_of(SIGKILL);
  CHECK(killed.code == 137);
  CHECK(killed.signal == SIGKILL);
  const Exit dumped = store::exit_of(SIGSEGV | 0x80);
  CHECK(dumped.code == 139);
  CHECK_FALSE(plain.oom_killed.has_value());
  CHECK(plain.time.size() == 30);
}

TEST_CASE("the exit record comes back as it was saved, and goes with the container") {
  coracle::tests::TemporaryDirectory root;
  Container container = Container::create_new(root.path(), "c");
  container.save();
  CHECK_FALSE(store::load_exit(container).has_value());
  Exit exit = store::exit_of(SIGKILL);
  exit.oom_killed = true;
  store::save_exit(container, exit);
  const std::optional<Exit> back = store::load_exit(container);
  REQUIRE(back.has_value());
  CHECK(back->code == 137);
  CHECK(back->signal == 9);
  CHECK(back->oom_killed == true);
  CHECK(back->time == exit.time);
  container.remove();
  CHECK(sys::open_at(sys::At::cwd(), (root.path() + "/c").c_str(), O_PATH).error() == ENOENT);
}

TEST_CASE("a damaged exit record is an error with its place") {
  coracle::tests::TemporaryDirectory root;
  Container container = Container::create_new(root.path(), "c");
  container.save();
  const sys::Fd file = sys::open_at(container.dir(), "exit.json", O_WRONLY | O_CREAT, 0, 0600);
  REQUIRE(sys::write_all(file, "{\"code\":\"x\"}") == 0);
  CHECK_THROWS_WITH_AS(store::load_exit(container), doctest::Contains("exit.json:1:"),
                       coracle::spec::Error);
}

TEST_CASE("an exit that cannot be is refused with its member") {
  const auto text = [](const char* members) {
    return std::string("{\"time\":\"2026-11-21T00:26:08.452607038Z\",") + members + "}";
  };
  CHECK(store::parse_exit(text("\"code\":137,\"signal\":9"), "exit.json").signal == 9);
  for (const char* bad : {"\"code\":-1", "\"code\":256", "\"code\":137,\"signal\":65",
                          "\"code\":0,\"signal\":9", "\"code\":0,\"signal\":-1", "\"code\":null"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(store::parse_exit(text(bad), "exit.json"), coracle::spec::Error);
  }
  CHECK_THROWS_WITH_AS(store::parse_exit("{\"code\":0,\"time\":\"soon\"}", "exit.json"),
                       "exit.json:1:18: time: not a time as RFC 3339 has it: \"soon\"",
                       coracle::spec::Error);
}
