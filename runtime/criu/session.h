// One run of `criu swrk`: a program beside us that answers requests on a SOCK_SEQPACKET socket, a
// message a packet.
//
//   us                                criu swrk 3
//    |-- VERSION, FEATURE_CHECK ------->|   keep_open: further requests follow
//    |<-------------------- answer -----|
//    |-- DUMP, PRE_DUMP, RESTORE ------>|
//    |<-- NOTIFY{script, pid} [fd] -----|   any number; criu waits for each reply
//    |-- NOTIFY{success} -------------->|   false: it undoes what it did
//    |<-------------------- answer -----|
//    |-- closed ----------------------->|   it ends
//
// criu is not killed should we die: its next message then fails, and it undoes its work in order
// (what it dumps runs on, what it restores is ended), which a signal would not let it do.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/criu/messages.h"
#include "runtime/sys/fd.h"
#include "runtime/sys/program.h"

namespace coracle::criu {

inline constexpr uint32_t kOldestVersion = 31600;  // 3.16: LSM options, external pid namespaces

// The path of criu, by $PATH. Throws spec::Error with what to install.
std::string find();

struct Start {
  std::string program;                 // absolute
  const sys::Fd* stdio[3] = {};        // 0, 1 and 2 of the container; null: /dev/null
  std::vector<const sys::Fd*> handed;  // become kFirstHanded, kFirstHanded + 1, ...
  sys::Place place;                    // `further` is filled in here
};
inline constexpr int kFirstHanded = 4;  // 3 is the socket

// Milliseconds. `answer`: to a question that needs no work. `silence`: of a dump or restore: no
// message, no line in the log, no processor time of criu. < 0: for ever.
struct Patience {
  int answer = 30'000;
  int silence = 600'000;
};

struct Notice {
  std::string_view script;
  pid_t pid;           // of the root task, or 0
  sys::Fd descriptor;  // orphan-pts-master
};
using Listener = std::function<void(Notice&)>;  // throws: criu is told to undo its work

class Session {
 public:
  // Starts criu. Throws spec::Error.
  explicit Session(const Start& start, Patience patience = {});
  // Closes the socket and waits for criu's end; kills it after ten seconds.
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Throws if criu is older than kOldestVersion.
  void check_version();
  // Throws if this criu and kernel cannot do what is needed.
  void check_features(bool mem_track, bool lazy_pages);

  // A dump, pre-dump or restore. `log` is the path of criu's log: its errors become part of the
  // exception. The pid of what was restored, else 0.
  pid_t perform(Kind kind, const Options& options, const std::string& log,
                const Listener& listener);

 private:
  void send(std::string_view message);
  Response receive(int patience_ms, sys::Fd& descriptor);
  Response ask(Kind kind, std::string_view message);
  Response converse(const Listener& listener);
  bool is_dead() const;
  uint64_t progress() const;
  std::string last_words() const;
  [[noreturn]] void fail_dead() const;
  [[noreturn]] void fail_silent(int waited_ms);
  [[noreturn]] void fail_request(Kind kind, const Response& response) const;

  Patience patience_;
  sys::Fd socket_;
  sys::Fd words_;  // what criu writes to its stderr, where that is not the container's
  sys::Started criu_;
  std::string log_;
};

}  // namespace coracle::criu
