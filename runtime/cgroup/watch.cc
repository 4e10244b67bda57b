#include "runtime/cgroup/watch.h"

#include <fcntl.h>

#include <algorithm>
#include <charconv>
#include <string_view>

#include "runtime/sys/event.h"
#include "runtime/sys/file.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::cgroup {

Watch::Watch(const Cgroup& cgroup)
    : memory_(sys::open_at(cgroup.dir, "memory.events", O_RDONLY)),
      events_(sys::open_at(cgroup.dir, "cgroup.events", O_RDONLY)) {
  if (!events_) {
    throw spec::Error(spec::cat("cannot open cgroup.events of cgroup ", cgroup.path),
                      events_.error());
  }
  kills_ = read_kills();
}

bool Watch::is_empty() const {
  char text[256];
  const int n = sys::reread(events_, text, sizeof(text));
  // A removed cgroup cannot be read any more (ENODEV).
  return n < 0 || std::string_view(text).find("populated 1") == std::string_view::npos;
}

uint64_t Watch::read_kills() const {
  if (!memory_) return 0;
  char text[512];
  if (sys::reread(memory_, text, sizeof(text)) < 0) return kills_;
  constexpr std::string_view kKey = "\noom_kill ";
  const std::string_view view(text);
  const size_t at = view.find(kKey);
  if (at == view.npos) return 0;
  uint64_t kills = 0;
  std::from_chars(view.data() + at + kKey.size(), view.data() + view.size(), kills);
  return kills;
}

Watch::Event Watch::wait(int timeout_ms) {
  const int64_t deadline = sys::monotonic_ms() + timeout_ms;
  for (;;) {
    // The kill is told before the end that it may have brought about.
    const uint64_t kills = read_kills();
    if (kills > kills_) {
      kills_ = kills;
      return Event::kOom;
    }
    if (is_empty()) return Event::kEmpty;
    const int64_t left = timeout_ms < 0 ? -1 : std::max<int64_t>(0, deadline - sys::monotonic_ms());
    const int changed =
        sys::wait_changed(memory_ ? &memory_ : nullptr, &events_, static_cast<int>(left));
    if (changed < 0) throw spec::Error("cannot wait for events of a cgroup", changed);
    if (changed == 0) return Event::kTimeout;
  }
}

}  // namespace coracle::cgroup
