#include "runtime/init/home.h"

#include <asm/stat.h>

#include "runtime/init/open.h"
#include "runtime/init/syscall.h"

namespace coracle::init {

// Fields of a line: name:password:uid:gid:comment:home:shell
static constexpr int kUidField = 2;
static constexpr int kHomeField = 5;

void HomeFinder::take(char ch) {
  if (field_ == kUidField) {
    good_ = good_ && ch >= '0' && ch <= '9';
    digits_ = true;
    number_ = number_ * 10 + static_cast<uint64_t>(ch - '0');
    if (number_ > UINT32_MAX) good_ = false, number_ = 0;
  } else if (field_ == kHomeField) {
    if (used_ + 1 < room_) {
      home_[used_++] = ch;
    } else {
      good_ = false;  // too long to be used, and half a path is another path
    }
  }
}

bool HomeFinder::end_line() {
  const bool found =
      good_ && digits_ && field_ >= kHomeField && number_ == uid_ && used_ > 0 && home_[0] == '/';
  if (found) home_[used_] = '\0';
  used_ = 0;
  number_ = 0;
  field_ = 0;
  good_ = true;
  digits_ = false;
  return found;
}

bool HomeFinder::read(const char* text, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    if (text[i] == '\n') {
      if (end_line()) return true;
    } else if (text[i] == ':') {
      ++field_;
    } else {
      take(text[i]);
    }
  }
  return false;
}

// The size is bounded: the file is the container's, and so may be endless.
static bool search(Context& c, long fd, HomeFinder& finder) {
  constexpr int kMostReads = 1024;
  for (int i = 0; i < kMostReads; ++i) {
    const long n = syscall(__NR_read, fd, c.path, sizeof(c.path));
    if (n <= 0) return finder.finish();
    if (finder.read(c.path, static_cast<size_t>(n))) return true;
  }
  return false;
}

// No error: a container without a readable passwd has "/" for a home, as everywhere.
void find_home(Context& c, uint32_t uid, char* home, size_t room) {
  HomeFinder finder(uid, home, room);
  bool found = false;
  const RootDir root(c);
  if (root.fd() >= 0) {
    const long fd = open_at(root.fd(), "etc/passwd", O_RDONLY | O_NONBLOCK | O_NOCTTY, kInRoot);
    struct stat st {};
    if (fd >= 0 && syscall(__NR_fstat, fd, &st) == 0 && is_regular(st.st_mode))
      found = search(c, fd, finder);
    close_fd(fd);
  }
  if (!found && room >= 2) {
    home[0] = '/';
    home[1] = '\0';
  }
}

}  // namespace coracle::init
