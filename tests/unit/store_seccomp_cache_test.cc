#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "runtime/store/seccomp_cache.h"
#include "runtime/sys/file.h"
#include "spec/error.h"

using namespace coracle;
using plan::seccomp::Program;

namespace {

class Root {
 public:
  Root() {
    char name[] = "/tmp/seccomp-cache.XXXXXX";
    path_ = mkdtemp(name);
  }
  ~Root() { sys::remove_tree(sys::At::cwd(), path_.c_str()); }
  const std::string& path() const { return path_; }
  std::string directory() const { return path_ + "/.seccomp"; }

  std::vector<std::string> files() const {
    std::vector<sys::DirEntry> entries;
    sys::list_dir(sys::At::cwd(), directory().c_str(), entries);
    std::vector<std::string> names;
    for (const sys::DirEntry& entry : entries) names.push_back(entry.name);
    return names;
  }
  std::string only_file() const {
    REQUIRE(files().size() == 1);
    return directory() + "/" + files()[0];
  }
  std::string read() const {
    std::string data;
    REQUIRE(sys::read_file(sys::At::cwd(), only_file().c_str(), data) == 0);
    return data;
  }
  void write(const std::string& data) const {
    sys::Fd out = sys::open_at(sys::At::cwd(), only_file().c_str(), O_WRONLY | O_TRUNC);
    REQUIRE(sys::write_all(out, data) == 0);
  }

 private:
  std::string path_;
};

spec::LinuxSeccomp profile() {
  spec::LinuxSeccomp s;
  s.defaultAction = "SCMP_ACT_ERRNO";
  s.syscalls.resize(1);
  s.syscalls[0].names = {"getpid", "personality"};
  s.syscalls[0].action = "SCMP_ACT_ALLOW";
  s.syscalls[0].args.resize(1);
  s.syscalls[0].args[0].op = "SCMP_CMP_EQ";
  return s;
}

Program get(const Root& root, const spec::LinuxSeccomp& s) {
  plan::Warnings warnings;
  return store::cached_seccomp(root.path(), s, warnings);
}

bool same(const Program& a, const Program& b) {
  return a.instructions == b.instructions && a.flags == b.flags && a.notify == b.notify;
}

Program fresh(const spec::LinuxSeccomp& s) {
  plan::Warnings warnings;
  return plan::seccomp::compile(s, warnings);
}

// Turns the last instruction of the kept program into "allow", with the checksum left as it was or
// the whole file made consistent by the caller.
constexpr size_t kCount = 12;  // FileHeader::instruction_count

}  // namespace

TEST_CASE("the second time it comes from the file, and is the same") {
  Root root;
  Program first = get(root, profile());
  CHECK(same(first, fresh(profile())));
  struct stat st;
  REQUIRE(stat(root.directory().c_str(), &st) == 0);
  CHECK((st.st_mode & 07777) == 0700);
  REQUIRE(stat(root.only_file().c_str(), &st) == 0);
  CHECK((st.st_mode & 07777) == 0600);
  CHECK(same(get(root, profile()), first));
  struct stat again;
  REQUIRE(stat(root.only_file().c_str(), &again) == 0);
  CHECK(again.st_ino == st.st_ino);  // not written again
}

TEST_CASE("it is the file that is used") {
  // An entry whose program and checksum are another's, under this one's key: the proof that a hit
  // does not compile. Both files are made by us and trusted, so nothing is at stake.
  Root root, other;
  spec::LinuxSeccomp s = profile();
  s.defaultErrnoRet = 99;
  Program foreign = get(other, s);
  get(root, profile());
  std::string mine = root.read(), theirs = other.read();
  size_t size = foreign.instructions.size() * 8;
  uint32_t mine_count, theirs_count;
  memcpy(&mine_count, mine.data() + kCount, 4);
  memcpy(&theirs_count, theirs.data() + kCount, 4);
  REQUIRE(mine_count == theirs_count);
  memcpy(mine.data() + 24, theirs.data() + 24, 8);  // checksum
  mine.replace(mine.size() - size, size, theirs.substr(theirs.size() - size));
  root.write(mine);
  CHECK(same(get(root, profile()), foreign));
}

TEST_CASE("each part of a profile makes another key") {
  using Change = std::function<void(spec::LinuxSeccomp&)>;
  const std::vector<Change> changes = {
      [](auto& s) { s.defaultAction = "SCMP_ACT_KILL"; },
      [](auto& s) { s.defaultErrnoRet = 0; },
      [](auto& s) { s.defaultErrnoRet = 1; },
      [](auto& s) { s.architectures = {"SCMP_ARCH_X86"}; },
      [](auto& s) { s.flags.emplace(); },
      [](auto& s) { s.flags = spec::Strings{"SECCOMP_FILTER_FLAG_LOG"}; },
      [](auto& s) { s.listenerPath = "/x"; },
      [](auto& s) {
        s.syscalls[0].names = {"getpid", "personalit", "y"};
      },
      [](auto& s) { s.syscalls[0].names = {"getpid"}; },
      [](auto& s) { s.syscalls[0].action = "SCMP_ACT_LOG"; },
      [](auto& s) {
        s.syscalls[0].action = "SCMP_ACT_TRACE";
        s.syscalls[0].errnoRet = 1;
      },
      [](auto& s) { s.syscalls[0].args[0].index = 1; },
      [](auto& s) { s.syscalls[0].args[0].value = 1; },
      [](auto& s) { s.syscalls[0].args[0].valueTwo = 1; },
      [](auto& s) { s.syscalls[0].args[0].op = "SCMP_CMP_GT"; },
      [](auto& s) { s.syscalls[0].args.clear(); },
      [](auto& s) { s.syscalls.push_back(s.syscalls[0]); },
  };
  Root root;
  get(root, profile());
  for (size_t i = 0; i < changes.size(); ++i) {
    CAPTURE(i);
    spec::LinuxSeccomp s = profile();
    changes[i](s);
    CHECK(same(get(root, s), fresh(s)));
    CHECK(same(get(root, s), fresh(s)));
    CHECK(root.files().size() == i + 2);
  }
}

TEST_CASE("a damaged file is made anew") {
  Root root;
  Program right = get(root, profile());
  const std::string good = root.read();
  std::vector<std::string> bad = {"",
                                  "x",
                                  good.substr(0, 31),
                                  good.substr(0, good.size() - 8),
                                  good + std::string(8, '\0'),
                                  std::string(good.size(), '\0'),
                                  std::string(1 << 20, 'x')};
  // Every byte counts, but for the padding behind the key.
  for (size_t at = 0; at < good.size(); at += 5) {
    bad.push_back(good);
    bad.back()[at] ^= 1;
  }
  size_t rebuilt = 0;
  for (const std::string& data : bad) {
    root.write(data);
    CHECK(same(get(root, profile()), right));
    if (root.read() == good) ++rebuilt;
  }
  CHECK(rebuilt + 3 >= bad.size());
}

TEST_CASE("a file under another profile's name is not taken for it") {
  Root root;
  spec::LinuxSeccomp lax = profile();
  lax.defaultAction = "SCMP_ACT_LOG";
  get(root, lax);
  std::string wrong = root.only_file(), data = root.read();
  sys::unlink_at(sys::At::cwd(), wrong.c_str());
  Program right = get(root, profile());
  root.write(data);  // as if the two had one hash
  CHECK(same(get(root, profile()), right));
  CHECK_FALSE(same(right, fresh(lax)));
}

TEST_CASE("symlinks, other kinds of files, and files others may write are not read") {
  Root root;
  Program right = get(root, profile());
  const std::string name = root.only_file(), aside = root.path() + "/aside";
  // A valid file, but of a wrong program: were it read, it would show.
  spec::LinuxSeccomp s = profile();
  auto is_ignored = [&] { return same(get(root, s), right); };
  REQUIRE(rename(name.c_str(), aside.c_str()) == 0);
  REQUIRE(symlink(aside.c_str(), name.c_str()) == 0);
  CHECK(is_ignored());
  struct stat st;
  REQUIRE(lstat(name.c_str(), &st) == 0);
  CHECK(S_ISREG(st.st_mode));  // replaced, not written through
  unlink(name.c_str());
  REQUIRE(mkfifo(name.c_str(), 0600) == 0);
  CHECK(is_ignored());  // and did not wait for a writer
  REQUIRE(chmod(name.c_str(), 0622) == 0);
  CHECK(is_ignored());
  REQUIRE(lstat(name.c_str(), &st) == 0);
  CHECK((st.st_mode & 0777) == 0600);
  if (geteuid() == 0) {
    REQUIRE(chown(name.c_str(), 12345, 0) == 0);
    CHECK(is_ignored());
    REQUIRE(lstat(name.c_str(), &st) == 0);
    CHECK(st.st_uid == 0);
  }
}

TEST_CASE("a cache that cannot be") {
  Root root;
  CHECK(same(get(root, profile()), fresh(profile())));
  REQUIRE(sys::remove_tree(sys::At::cwd(), root.directory().c_str()) == 0);
  REQUIRE(symlink("/tmp", root.directory().c_str()) == 0);
  CHECK(same(get(root, profile()), fresh(profile())));
  REQUIRE(unlink(root.directory().c_str()) == 0);
  REQUIRE(close(open(root.directory().c_str(), O_WRONLY | O_CREAT, 0600)) == 0);
  CHECK(same(get(root, profile()), fresh(profile())));
  plan::Warnings warnings;
  CHECK(same(store::cached_seccomp("/no/such/root", profile(), warnings), fresh(profile())));
}

TEST_CASE("errors come each time, and so do warnings") {
  Root root;
  spec::LinuxSeccomp s = profile();
  s.defaultAction = "ALLOW";
  CHECK_THROWS_AS(get(root, s), spec::Error);
  CHECK_THROWS_AS(get(root, s), spec::Error);
  s = profile();
  s.flags = spec::Strings{"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"};
  for (int i = 0; i < 2; ++i) {
    plan::Warnings warnings;
    store::cached_seccomp(root.path(), s, warnings);
    CHECK(warnings.size() == 1);
  }
  CHECK(root.files().empty());
}

TEST_CASE("no more than 64 files, and the newest stay") {
  Root root;
  spec::LinuxSeccomp s = profile();
  for (uint32_t i = 0; i < store::kMaxCachedFilters + 10; ++i) {
    s.defaultErrnoRet = i;
    get(root, s);
    CHECK(root.files().size() <= store::kMaxCachedFilters);
  }
  std::vector<std::string> before = root.files();
  CHECK(before.size() == store::kMaxCachedFilters);
  get(root, s);  // the last one is still there
  CHECK(root.files() == before);
}
