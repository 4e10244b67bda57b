// A program that answers like `criu swrk 3`, without doing anything to a process that a signal or a
// fork would not do. $FAKE_CRIU says how it behaves, in words:
//
//   version=31701   what it says it is
//   no-mem-track    a feature that it lacks (also: no-lazy-pages)
//   refuse          it fails, with a reason in its answer and others in its log
//   garbage         its answer is no message;  short: an answer without `success`
//   die             it ends in the middle of the request, with words on stderr
//   die-late        ... after its first notification
//   hang            it never answers;  busy: neither, but its log grows for a second
//   terminal        a restore sends a pty master
//   name=FILE       write a line for each request and reply to FILE
//
// A dump kills the process it is given, unless that is to run on; a restore makes one, a sibling of
// this program, that sleeps.
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <string_view>

#include "runtime/sys/protobuf.h"
#include "runtime/sys/unix_socket.h"

using coracle::sys::Fd;
using coracle::sys::ProtoReader;
using coracle::sys::ProtoWriter;

namespace {

constexpr uint64_t kDump = 1, kRestore = 2, kPreDump = 4, kNotify = 6, kFeatures = 9, kVersion = 10;

struct Request {
  uint64_t type = 0;
  bool notify_success = false;
  std::string options;  // in words, a field a word
  int images = -1, work = -1;
  std::string log_file;
  pid_t pid = 0;
  bool leave_running = false;
};

std::string_view manner() {
  const char* value = getenv("FAKE_CRIU");
  return value ? value : "";
}

std::string setting(std::string_view name) {
  const std::string key = " " + std::string(name) + "=";
  const std::string all = " " + std::string(manner()) + " ";
  const size_t at = all.find(key);
  if (at == all.npos) return "";
  return all.substr(at + key.size(), all.find(' ', at + 1) - at - key.size());
}

bool is(std::string_view word) {
  const std::string all = " " + std::string(manner()) + " ";
  return all.find(" " + std::string(word) + " ") != all.npos;
}

// "1|2" of a message whose fields are strings and numbers.
std::string nested(std::string_view bytes) {
  std::string text;
  ProtoReader in(bytes);
  while (in.next()) {
    if (!text.empty()) text += '|';
    ProtoReader again = in;
    const std::string_view view = again.bytes();
    text += again.ok() ? std::string(view) : std::to_string(in.number());
  }
  return text;
}

void read_options(std::string_view bytes, Request& r) {
  ProtoReader in(bytes);
  while (in.next()) {
    const uint32_t field = in.field();
    ProtoReader as_bytes = in;
    const std::string_view view = as_bytes.bytes();
    const bool is_bytes = as_bytes.ok();
    const bool is_message = field == 11 || field == 23 || field == 25 || field == 27 || field == 39;
    const uint64_t number = is_bytes ? 0 : in.number();
    r.options += " " + std::to_string(field) + "=" +
                 (is_message ? nested(view)
                  : is_bytes ? std::string(view)
                             : std::to_string(number));
    if (field == 1) r.images = static_cast<int>(number);
    if (field == 17) r.work = static_cast<int>(number);
    if (field == 2) r.pid = static_cast<pid_t>(number);
    if (field == 3) r.leave_running = number != 0;
    if (field == 10) r.log_file = view;
  }
}

void note(const std::string& line) {
  const std::string file = setting("name");
  if (file.empty()) return;
  const Fd out(open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (write(out.get(), (line + "\n").c_str(), line.size() + 1) < 0) _exit(99);
}

Request receive(const Fd& socket) {
  static char buffer[65536];
  Fd none;
  const long n = coracle::sys::receive_with_fd(socket, buffer, sizeof(buffer), none);
  if (n <= 0) _exit(7);  // the other side is gone
  Request r;
  ProtoReader in({buffer, static_cast<size_t>(n)});
  while (in.next()) {
    if (in.field() == 1) r.type = in.number();
    if (in.field() == 2) read_options(in.bytes(), r);
    if (in.field() == 3) r.notify_success = in.number() != 0;
  }
  note("request " + std::to_string(r.type) + (r.type == kNotify && !r.notify_success ? " no" : "") +
       r.options);
  return r;
}

void answer(const Fd& socket, const std::string& bytes) {
  if (send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0) _exit(8);
}

ProtoWriter response(uint64_t type, bool success) {
  ProtoWriter out;
  out.number(1, type).present_number(2, success);
  return out;
}

void log(const Request& r, const std::string& line) {
  const std::string path = "/proc/" + std::to_string(getppid()) + "/fd/" +
                           std::to_string(r.work >= 0 ? r.work : r.images) + "/" + r.log_file;
  const Fd out(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (write(out.get(), (line + "\n").c_str(), line.size() + 1) < 0) _exit(99);
}

// Whether the other side agrees.
bool notify(const Fd& socket, const char* script, pid_t pid) {
  ProtoWriter body;
  body.bytes(1, script).signed_number(2, pid);
  answer(socket, response(kNotify, true).message(5, body).take());
  const bool agreed = receive(socket).notify_success;
  if (is("die-late")) kill(getpid(), SIGKILL);
  return agreed;
}

bool send_terminal(const Fd& socket) {
  const Fd master(open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC));
  ProtoWriter body;
  body.bytes(1, "orphan-pts-master");
  const std::string bytes = response(kNotify, true).message(5, body).take();
  if (coracle::sys::send_with_fd(socket, bytes, master) < 0) _exit(8);
  return receive(socket).notify_success;
}

void refuse(const Fd& socket, const Request& r) {
  log(r, "(00.000100) cg: fine");
  log(r, "(00.000200) Error (criu/first.c:1): mnt: the first reason");
  log(r, "(00.000300)      1: Error (criu/second.c:22): net: the last reason");
  log(r, "(00.000400) Error (criu/cr-dump.c:2098): Dumping FAILED.");
  answer(socket, response(r.type, false)
                     .number(7, 22)
                     .bytes(9, "Error (criu/zero.c:1): the answer's reason\n")
                     .take());
}

[[noreturn]] void hang(const Request& r) {
  for (int i = 0; is("busy") && i < 10; ++i) {
    usleep(100'000);
    log(r, "(00.000100) page " + std::to_string(i));
  }
  for (;;) pause();
}

void misbehave(const Fd& socket, const Request& r) {
  if (is("refuse")) refuse(socket, r);
  if (is("garbage")) answer(socket, "\xff\xff\xff");
  if (is("short")) answer(socket, ProtoWriter().number(1, r.type).take());
  if (is("die")) {
    fputs("criu: cannot open shared object file\n", stderr);
    exit(3);
  }
  if (is("hang") || is("busy")) hang(r);
}

void dump(const Fd& socket, const Request& r) {
  if (!notify(socket, "pre-dump", 0) || !notify(socket, "post-dump", 0))
    return answer(socket, response(r.type, false).take());
  if (r.type == kDump && !r.leave_running && r.pid > 0) kill(r.pid, SIGKILL);
  answer(socket, response(r.type, true).take());
}

pid_t make_sibling() {
  clone_args args{};
  args.flags = CLONE_PARENT;
  const long pid = syscall(SYS_clone3, &args, sizeof(args));
  if (pid != 0) return static_cast<pid_t>(pid);
  close(3);
  for (;;) pause();
}

void restore(const Fd& socket, const Request& r) {
  notify(socket, "pre-restore", 0);
  const pid_t pid = make_sibling();
  if (notify(socket, "setup-namespaces", pid) && (!is("terminal") || send_terminal(socket)) &&
      notify(socket, "post-restore", pid)) {
    ProtoWriter body;
    body.signed_number(1, pid);
    return answer(socket, response(kRestore, true).message(4, body).take());
  }
  kill(pid, SIGKILL);
  log(r, "(00.000200) Error (criu/action-scripts.c:121): One of more action scripts failed");
  answer(socket, response(kRestore, false).take());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3 || std::string_view(argv[1]) != "swrk") return 64;
  const Fd socket(atoi(argv[2]));
  for (;;) {
    const Request r = receive(socket);
    if (r.type == kVersion) {
      const std::string version = setting("version");
      const unsigned number = version.empty() ? 31701 : static_cast<unsigned>(stoul(version));
      ProtoWriter body;
      body.number(1, number / 10000).number(2, number / 100 % 100).number(4, number % 100);
      answer(socket, response(kVersion, true).message(10, body).take());
      continue;
    }
    if (r.type == kFeatures) {
      ProtoWriter body;
      body.number(1, !is("no-mem-track")).number(2, !is("no-lazy-pages"));
      answer(socket, response(kFeatures, true).message(8, body).take());
      continue;
    }
    misbehave(socket, r);
    if (r.type == kRestore) restore(socket, r);
    if (r.type == kDump || r.type == kPreDump) dump(socket, r);
    return 0;
  }
}
