// The one loop of a process that stays behind: descriptors and timers, one thread, epoll(7).
//
// A callback may watch, forget and cancel anything, itself included. No callback may block. One
// that throws is logged and ends nothing but itself: what is served by the others goes on.
#pragma once

#include <sys/epoll.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "runtime/sys/fd.h"

namespace coracle::shim {

// Does it; what it throws is logged, as the failure of something that nothing else depends on.
void attempt(const std::function<void()>& act);

class Loop {
 public:
  using Ready = std::function<void(uint32_t events)>;  // EPOLL*
  using Act = std::function<void()>;

  Loop();  // throws spec::Error
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Runs callbacks until stop().
  void run();
  void stop() { stopped_ = true; }

  // Calls `act` whenever nothing has happened for `ms`: once, until something happens again.
  void when_idle(int ms, Act act);

  // Calls `act` once, `ms` from now. The number is for cancel(), which takes any number.
  uint64_t after(int ms, Act act);
  void cancel(uint64_t timer) { timers_.erase(timer); }

 private:
  friend class Watch;
  struct Entry {
    int fd;
    Ready ready;
  };
  uint64_t add(const sys::Fd& fd, uint32_t events, Ready ready);
  void change(uint64_t id, uint32_t events);
  void remove(uint64_t id);
  int until_next_timer() const;
  int wait(epoll_event* events, int most);
  void run_timers();

  struct Timer {
    int64_t due;  // CLOCK_MONOTONIC, ms
    Act act;
  };
  sys::Fd epoll_;
  uint64_t last_id_ = 0;
  // Shared, so that a callback that forgets itself ends before it is destroyed.
  std::map<uint64_t, std::shared_ptr<Entry>> entries_;
  std::map<uint64_t, Timer> timers_;
  Act idle_;
  int idle_ms_ = 0;
  bool stopped_ = false;
};

// The watching of one descriptor, for as long as it lives. The descriptor is its owner's and has to
// live longer: declare it first.
class Watch {
 public:
  Watch() = default;
  // Throws spec::Error (a regular file cannot be watched).
  Watch(Loop& loop, const sys::Fd& fd, uint32_t events, Loop::Ready ready)
      : loop_(&loop), id_(loop.add(fd, events, std::move(ready))) {}
  Watch(Watch&& other) noexcept
      : loop_(std::exchange(other.loop_, nullptr)), id_(other.id_), events_(other.events_) {}
  Watch& operator=(Watch&& other) noexcept;
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  ~Watch() { reset(); }

  explicit operator bool() const { return loop_ != nullptr; }
  void want(uint32_t events);
  void reset();

 private:
  Loop* loop_ = nullptr;
  uint64_t id_ = 0;
  uint32_t events_ = ~0U;
};

}  // namespace coracle::shim
