#include <doctest/doctest.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "runtime/messages.h"
#include "runtime/store/container.h"
#include "runtime/sys/file.h"
#include "spec/error.h"
#include "tests/unit/temporary_directory.h"

using coracle::spec::Error;
using coracle::store::Container;
using coracle::store::Phase;
using coracle::store::Status;
using coracle::tests::TemporaryDirectory;
namespace messages = coracle::messages;
namespace store = coracle::store;
namespace sys = coracle::sys;

namespace {

// A process that waits to be killed.
class Sleeper {
 public:
  Sleeper() : pid_(fork()) {
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) {
      close_range(3, ~0u, 0);  // no copy of a lock
      for (;;) pause();
    }
  }
  ~Sleeper() { end(); }
  void kill_only() { kill(pid_, SIGKILL); }
  void end() {
    if (pid_ <= 0) return;
    kill_only();
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  sys::ProcessId id() const {
    sys::ProcessStat stat;
    REQUIRE(sys::read_process_stat(pid_, stat) == 0);
    return {pid_, stat.start_time};
  }

 private:
  pid_t pid_;
};

std::string words_of(void (*action)(const std::string&), const std::string& root) {
  try {
    action(root);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

// A container as `create` leaves it, whose first process is `first`.
Container make_created(const std::string& root, const Sleeper& first) {
  Container c = Container::create_new(root, "c1");
  c.save();
  c.record().process = first.id();
  c.record().phase = Phase::kCreated;
  return c;
}

bool is_there(const std::string& path) {
  struct stat st;
  return lstat(path.c_str(), &st) == 0;
}

void wait_zombie(const Sleeper& sleeper) {
  siginfo_t info;
  REQUIRE(waitid(P_PID, static_cast<id_t>(sleeper.id().pid), &info, WEXITED | WNOWAIT) == 0);
}

}  // namespace

TEST_CASE("container: names that are refused, everywhere") {
  TemporaryDirectory root;
  for (std::string id : {"", ".", "..", ".x", "a/b", "a b", "a\n", "ä", "../x"}) {
    CAPTURE(id);
    CHECK_THROWS_AS(store::check_id(id), Error);
    CHECK_THROWS_AS(Container::create_new(root.path(), id), Error);
    CHECK_THROWS_AS(Container::open(root.path(), id), Error);
    CHECK_THROWS_AS(Container::open_locked(root.path(), id), Error);
    CHECK_THROWS_AS(Container::open_for_removal(root.path(), id), Error);
  }
  CHECK_THROWS_AS(store::check_id(std::string(256, 'a')), Error);
  CHECK_NOTHROW(store::check_id(std::string(255, 'a')));
  CHECK_NOTHROW(store::check_id("A-z_0+9.x"));
}

TEST_CASE("container: nothing is on disk before the record, and all of it is private") {
  TemporaryDirectory root;
  Container c = Container::create_new(root.path(), "c1");
  struct stat st;
  REQUIRE(stat(c.path().c_str(), &st) == 0);
  CHECK((st.st_mode & 0777) == 0700);
  CHECK(c.record().phase == Phase::kCreating);
  CHECK(c.record().creator.pid == getpid());
  CHECK(c.record().owner == geteuid());
  CHECK(c.record().boot_id.size() == 36);
  CHECK_THROWS_AS(Container::open(root.path(), "c1"), Error);  // not yet
  c.save();
  c.save_config("{\"x\":1}");
  sys::Fd socket = c.bind_start_socket();
  for (const char* name : {"/state.json", "/config.json", "/start.sock"}) {
    REQUIRE(stat((c.path() + name).c_str(), &st) == 0);
    CHECK((st.st_mode & 0777) == 0600);
  }
  CHECK_FALSE(is_there(c.path() + "/state.json.new"));
  CHECK(Container::open(root.path(), "c1").config_text() == "{\"x\":1}");
}

TEST_CASE("container: an id is taken once") {
  TemporaryDirectory root;
  Container c = Container::create_new(root.path(), "c1");
  std::string words = words_of([](auto& r) { Container::create_new(r, "c1"); }, root.path());
  CHECK(words.find(messages::kIdExists) != words.npos);
  c.save();
  c.remove();
  CHECK_NOTHROW(Container::create_new(root.path(), "c1"));
}

TEST_CASE("container: one that is not there") {
  TemporaryDirectory root;
  for (auto* action : {+[](const std::string& r) { Container::open(r, "nope"); },
                       +[](const std::string& r) { Container::open_locked(r, "nope"); }}) {
    CHECK(words_of(action, root.path()).find(messages::kDoesNotExist) != std::string::npos);
  }
  CHECK_FALSE(Container::open_for_removal(root.path(), "nope"));
}

TEST_CASE("container: a symlink in the place of the directory is refused") {
  TemporaryDirectory root, elsewhere;
  REQUIRE(symlink(elsewhere.path().c_str(), (root.path() + "/c1").c_str()) == 0);
  CHECK_THROWS_AS(Container::open(root.path(), "c1"), Error);
  CHECK_THROWS_AS(Container::open_for_removal(root.path(), "c1"), Error);
}

TEST_CASE("container: a directory others may write to is not believed") {
  TemporaryDirectory root;
  Container::create_new(root.path(), "c1").save();
  REQUIRE(chmod((root.path() + "/c1").c_str(), 0777) == 0);
  CHECK_THROWS_AS(Container::open(root.path(), "c1"), Error);
}

TEST_CASE("status: creating while the creator lives, stopped when it does not") {
  TemporaryDirectory root;
  Sleeper creator;
  Container c = Container::create_new(root.path(), "c1");
  c.save();
  CHECK(c.status() == Status::kCreating);  // this process
  c.record().creator = creator.id();
  c.save();
  CHECK(Container::open(root.path(), "c1").status() == Status::kCreating);
  creator.end();
  CHECK(Container::open(root.path(), "c1").status() == Status::kStopped);
}

TEST_CASE("status: created until start.sock goes, then running, then stopped") {
  TemporaryDirectory root;
  Sleeper first;
  Container c = make_created(root.path(), first);
  sys::Fd socket = c.bind_start_socket();
  c.save();
  CHECK(c.status() == Status::kCreated);
  c.remove_start_socket();
  CHECK(c.status() == Status::kRunning);
  c.remove_start_socket();  // twice is fine
  CHECK(c.pidfd());
  first.kill_only();
  wait_zombie(first);
  CHECK(c.status() == Status::kStopped);  // a zombie has ended
  CHECK(c.pidfd().error() == ESRCH);
  first.end();
  CHECK(c.status() == Status::kStopped);
}

TEST_CASE("status: a reused pid is not the container's process") {
  TemporaryDirectory root;
  Sleeper first;
  Container c = make_created(root.path(), first);
  CHECK(c.status() == Status::kRunning);
  c.record().process.start_time -= 1;
  CHECK(c.status() == Status::kStopped);
  CHECK(c.pidfd().error() == ESRCH);
}

TEST_CASE("status: nothing survives a reboot") {
  TemporaryDirectory root;
  Sleeper first;
  Container c = make_created(root.path(), first);
  CHECK(c.same_boot());
  c.record().boot_id = "00000000-0000-0000-0000-000000000000";
  CHECK_FALSE(c.same_boot());
  CHECK(c.status() == Status::kStopped);
  c.record().phase = Phase::kCreating;
  CHECK(c.status() == Status::kStopped);
}

TEST_CASE("start socket: one end for create, one for start, from any depth of directory") {
  TemporaryDirectory root;
  std::string deep = root.path();
  for (int i = 0; i < 3; ++i) deep += "/" + std::string(100, 'd');
  REQUIRE(sys::mkdir_at(sys::At::cwd(), (root.path() + "/" + std::string(100, 'd')).c_str(),
                        0700) == 0);
  store::prepare_root({deep, true, false});
  Container c = Container::create_new(deep, "c1");
  {
    sys::Fd listening = c.bind_start_socket();
    sys::Fd starter = c.connect_start_socket();
    REQUIRE(starter);
    sys::Fd accepted(accept(listening.get(), nullptr, nullptr));
    REQUIRE(accepted);
    REQUIRE(write(starter.get(), "go", 2) == 2);
    char text[8];
    CHECK(read(accepted.get(), text, sizeof(text)) == 2);
  }
  CHECK(c.connect_start_socket().error() == ECONNREFUSED);  // the init has ended
  c.remove_start_socket();
  CHECK(c.connect_start_socket().error() == ENOENT);
}

TEST_CASE("lock: one holder at a time; state and list need none") {
  TemporaryDirectory root;
  auto holder = std::make_unique<Container>(Container::create_new(root.path(), "c1"));
  holder->save();
  CHECK(Container::open(root.path(), "c1").id() == "c1");
  sys::Fd other = sys::open_at(sys::At::cwd(), holder->path().c_str(), O_RDONLY | O_DIRECTORY);
  CHECK(flock(other.get(), LOCK_EX | LOCK_NB) == -1);
  holder->unlock();
  CHECK(flock(other.get(), LOCK_EX | LOCK_NB) == 0);
  REQUIRE(flock(other.get(), LOCK_UN) == 0);
  holder->lock();
  CHECK(flock(other.get(), LOCK_EX | LOCK_NB) == -1);
  holder.reset();  // the lock goes with the Container
  CHECK(flock(other.get(), LOCK_EX | LOCK_NB) == 0);
}

TEST_CASE("lock: whoever waited reads what the holder wrote") {
  TemporaryDirectory root;
  Container c = Container::create_new(root.path(), "c1");
  c.save();
  pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    // A lock of one's own needs an open file of one's own: `c` is the parent's.
    Container waiting = Container::open_locked(root.path(), "c1");
    _exit(waiting.record().bundle == "/changed" ? 0 : 1);
  }
  usleep(50000);
  c.record().bundle = "/changed";
  c.save();
  c.unlock();
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("lock: a container deleted while one waited does not exist, nor is its heir touched") {
  TemporaryDirectory root;
  Container c = Container::create_new(root.path(), "c1");
  c.save();
  pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) _exit(Container::open_for_removal(root.path(), "c1") ? 1 : 0);
  usleep(50000);
  c.remove();
  Container heir = Container::create_new(root.path(), "c1");
  heir.save();
  c.unlock();
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(is_there(heir.path() + "/state.json"));
}

TEST_CASE("removal: a create killed before its first record leaves nothing in the way") {
  TemporaryDirectory root;
  REQUIRE(mkdir((root.path() + "/c1").c_str(), 0700) == 0);
  auto c = Container::open_for_removal(root.path(), "c1");
  REQUIRE(c);
  CHECK_FALSE(c->has_record());
  CHECK(c->status() == Status::kStopped);
  c->remove();
  CHECK_FALSE(is_there(root.path() + "/c1"));
}

TEST_CASE("removal: an empty record, as a power cut leaves it, counts as none") {
  TemporaryDirectory root;
  Container::create_new(root.path(), "c1").save();
  REQUIRE(truncate((root.path() + "/c1/state.json").c_str(), 0) == 0);
  CHECK_THROWS_AS(Container::open(root.path(), "c1"), Error);
  auto c = Container::open_for_removal(root.path(), "c1");
  REQUIRE(c);
  c->remove();
  CHECK_FALSE(is_there(root.path() + "/c1"));
}

TEST_CASE("removal: whatever else lies in the directory goes too") {
  TemporaryDirectory root;
  Container c = Container::create_new(root.path(), "c1");
  c.save();
  REQUIRE(mkdir((c.path() + "/notify").c_str(), 0700) == 0);
  sys::Fd file = sys::open_at(c.dir(), "state.json.new", O_WRONLY | O_CREAT, 0, 0600);
  c.remove();
  CHECK_FALSE(is_there(root.path() + "/c1"));
}

TEST_CASE("save: without room the old record stands and nothing is left over") {
  TemporaryDirectory root;
  Container c = Container::create_new(root.path(), "c1");
  c.record().bundle = "/old";
  c.save();
  rlimit before, none = {0, RLIM_INFINITY};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
  none.rlim_max = before.rlim_max;
  signal(SIGXFSZ, SIG_IGN);
  REQUIRE(setrlimit(RLIMIT_FSIZE, &none) == 0);
  c.record().bundle = "/new";
  bool refused = false, config_refused = false;
  try {
    c.save();
  } catch (const Error&) {
    refused = true;
  }
  try {
    c.save_config("{}");
  } catch (const Error&) {
    config_refused = true;
  }
  setrlimit(RLIMIT_FSIZE, &before);
  CHECK(refused);
  CHECK(config_refused);
  CHECK_FALSE(is_there(c.path() + "/state.json.new"));
  CHECK_FALSE(is_there(c.path() + "/config.json"));
  CHECK(Container::open(root.path(), "c1").record().bundle == "/old");
}

TEST_CASE("list: sorted ids, without what is hidden; a missing root is empty unless asked for") {
  TemporaryDirectory root;
  Container::create_new(root.path(), "b").save();
  Container::create_new(root.path(), "a").save();
  REQUIRE(mkdir((root.path() + "/.cache").c_str(), 0700) == 0);
  CHECK(store::list_ids({root.path(), true, false}) == std::vector<std::string>{"a", "b"});
  CHECK(store::list_ids({root.path() + "/none", false, false}).empty());
  CHECK_THROWS_AS(store::list_ids({root.path() + "/none", true, false}), Error);
}

TEST_CASE("container: a record of another container, and one that cannot be, are refused") {
  TemporaryDirectory root;
  Container::create_new(root.path(), "c1").save();
  Container other = Container::create_new(root.path(), "c2");
  other.record().cgroup_path = "/a/../b";
  CHECK_THROWS_AS(other.save(), Error);  // nothing is written that could not be read
  CHECK_FALSE(is_there(root.path() + "/c2/state.json"));
  REQUIRE(rename((root.path() + "/c1/state.json").c_str(),
                 (root.path() + "/c2/state.json").c_str()) == 0);
  const std::string words =
      words_of([](const std::string& path) { Container::open(path, "c2"); }, root.path());
  CHECK(words == root.path() + "/c2/state.json: id: \"c1\" is another container's");
}

TEST_CASE("container: a fifo in the record's place does not block") {
  TemporaryDirectory root;
  Container c = Container::create_new(root.path(), "c1");
  REQUIRE(mkfifo((c.path() + "/state.json").c_str(), 0600) == 0);
  c.unlock();
  CHECK_THROWS_AS(Container::open(root.path(), "c1"), Error);
}
