#include "shim/loop.h"

#include <algorithm>
#include <cerrno>
#include <exception>

#include "runtime/log.h"
#include "runtime/sys/event.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::shim {

using spec::Error;

void attempt(const std::function<void()>& act) {
  try {
    act();
  } catch (const std::exception& e) {
    log::warning(spec::cat("in the event loop: ", e.what()));
  }
}

Loop::Loop() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  if (!epoll_) throw Error("epoll_create1", errno);
}

uint64_t Loop::add(const sys::Fd& fd, uint32_t events, Ready ready) {
  const uint64_t id = ++last_id_;
  epoll_event event{};
  event.events = events;
  event.data.u64 = id;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event) < 0) throw Error("epoll_ctl", errno);
  entries_.emplace(id, std::make_shared<Entry>(Entry{fd.get(), std::move(ready)}));
  return id;
}

void Loop::change(uint64_t id, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = id;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, entries_.at(id)->fd, &event) < 0)
    throw Error("epoll_ctl", errno);
}

void Loop::remove(uint64_t id) {
  const auto found = entries_.find(id);
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, found->second->fd, nullptr);  // it is there: nothing fails
  entries_.erase(found);
}

uint64_t Loop::after(int ms, Act act) {
  const uint64_t id = ++last_id_;
  timers_.emplace(id, Timer{sys::monotonic_ms() + ms, std::move(act)});
  return id;
}

// A handful of timers at most, so no order is kept.
int Loop::until_next_timer() const {
  if (timers_.empty()) return -1;
  int64_t next = INT64_MAX;
  for (const auto& [id, timer] : timers_) next = std::min(next, timer.due);
  return static_cast<int>(std::clamp<int64_t>(next - sys::monotonic_ms(), 0, 60'000));
}

void Loop::run_timers() {
  if (timers_.empty()) return;
  const int64_t now = sys::monotonic_ms();
  for (auto it = timers_.begin(); it != timers_.end();) {
    if (it->second.due > now) {
      ++it;
      continue;
    }
    const uint64_t id = it->first;
    const Act act = std::move(it->second.act);
    timers_.erase(it);
    attempt(act);
    it = timers_.upper_bound(id);
  }
}

void Loop::when_idle(int ms, Act act) {
  idle_ms_ = ms;
  idle_ = std::move(act);
}

int Loop::wait(epoll_event* events, int most) {
  int timeout = until_next_timer();
  const bool may_idle = idle_ && (timeout < 0 || timeout > idle_ms_);
  int count = epoll_wait(epoll_.get(), events, most, may_idle ? idle_ms_ : timeout);
  if (count == 0 && may_idle) {
    attempt(idle_);
    timeout = until_next_timer();
    count = epoll_wait(epoll_.get(), events, most, timeout);
  }
  if (count < 0 && errno != EINTR) throw Error("epoll_wait", errno);
  return count;
}

void Loop::run() {
  constexpr int kMost = 32;
  epoll_event events[kMost];
  while (!stopped_) {
    const int count = wait(events, kMost);
    for (int i = 0; i < count; ++i) {
      const auto found = entries_.find(events[i].data.u64);
      if (found == entries_.end()) continue;  // forgotten by an earlier callback of this round
      const std::shared_ptr<Entry> entry = found->second;
      attempt([&] { entry->ready(events[i].events); });
    }
    run_timers();
  }
}

Watch& Watch::operator=(Watch&& other) noexcept {
  if (this == &other) return *this;
  reset();
  loop_ = std::exchange(other.loop_, nullptr);
  id_ = other.id_;
  events_ = other.events_;
  return *this;
}

void Watch::want(uint32_t events) {
  if (loop_ == nullptr || events == events_) return;
  loop_->change(id_, events);
  events_ = events;
}

void Watch::reset() {
  if (loop_ != nullptr) std::exchange(loop_, nullptr)->remove(id_);
}

}  // namespace coracle::shim
