// Lets one system call of a program fail, or kills the program there.
//
//   faultstep [-n N] [-k | -e ERRNO] [-f | -c] [-C] [-t SEC] [-o FILE] -- COMMAND [ARGUMENT]...
//
//   -n N      the Nth system call, counted from 1 after COMMAND's execve, over all its threads
//   -k        SIGKILL when it is entered, before it does anything
//   -e ERRNO  it does nothing and returns this errno (a name or a number); close(2) closes all the
//             same, and calls that cannot return an error (brk, exit) are left alone
//   -f        count and strike in COMMAND and all its descendants (-k then kills all of them)
//   -c        count and strike in the descendants only (the container's init, hooks, the program)
//   -C        only count (no -n)
//   -t SEC    kill COMMAND and all that is traced after so many seconds
//   -o FILE   where the report goes instead of stderr
//
// Report: one line "syscalls=N execs=N tasks=N maxrss=KIB hit=NUMBER|none
// status=exit:N|signal:N|timeout:SEC". maxrss is never below that of faultstep itself, from which
// COMMAND was forked. Exit status: COMMAND's, 128 + signal, 124 after a time-out, or 125 when
// faultstep itself failed.
//
// strace's fault injection counts per system call number and so cannot say "the Nth overall".
// Descendants that are not counted run untraced; when COMMAND ends, the rest is let go.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>
#include <string>

namespace {

struct Options {
  long strike_at = 0;
  bool kill = false;
  int error = 0;
  bool follow = false;         // -f or -c
  bool children_only = false;  // -c
  unsigned seconds = 0;        // time limit, 0: none
  const char* report = nullptr;
  char** command = nullptr;
};

struct Task {
  bool own = false;     // a thread of COMMAND
  bool struck = false;  // inside the call that fails
};

struct Run {
  Options options;
  pid_t command = 0;
  bool started = false;  // COMMAND's execve is done
  long syscalls = 0;
  long execs = 0;
  long hit = -1;  // number of the system call struck
  std::map<pid_t, Task> tasks;
  long tasks_seen = 0;
  int status = 0;     // wait status of COMMAND
  rusage usage = {};  // of COMMAND and the descendants that it waited for
};

[[noreturn]] void die(const char* what) {
  fprintf(stderr, "faultstep: %s: %s\n", what, strerror(errno));
  exit(125);
}

[[noreturn]] void usage() {
  fputs("usage: faultstep [-n N] [-k | -e ERRNO] [-f | -c] [-C] [-t SEC] [-o FILE] -- COMMAND...\n",
        stderr);
  exit(125);
}

int errno_of(const char* word) {
  for (int number = 1; number < 134; ++number) {
    const char* name = strerrorname_np(number);
    if (name != nullptr && strcmp(name, word) == 0) return number;
  }
  int number = atoi(word);
  if (number <= 0) usage();
  return number;
}

Options parse(int argc, char** argv) {
  Options options;
  for (int letter; (letter = getopt(argc, argv, "+n:ke:fcCt:o:")) != -1;) {
    switch (letter) {
      case 'n':
        options.strike_at = atol(optarg);
        break;
      case 'k':
        options.kill = true;
        break;
      case 'e':
        options.error = errno_of(optarg);
        break;
      case 'f':
        options.follow = true;
        break;
      case 'c':
        options.follow = options.children_only = true;
        break;
      case 'C':
        options.strike_at = 0;
        break;
      case 't':
        options.seconds = static_cast<unsigned>(atoi(optarg));
        break;
      case 'o':
        options.report = optarg;
        break;
      default:
        usage();
    }
  }
  if (optind >= argc || (options.strike_at > 0 && options.kill == (options.error != 0))) usage();
  options.command = argv + optind;
  return options;
}

// A thread of COMMAND shares its thread group.
bool is_own(const Run& run, pid_t tid) {
  char path[64], line[256];
  snprintf(path, sizeof path, "/proc/%d/status", tid);
  FILE* file = fopen(path, "re");
  bool own = false;
  while (file != nullptr && fgets(line, sizeof line, file) != nullptr) {
    int group = 0;
    if (sscanf(line, "Tgid: %d", &group) == 1) own = group == run.command;
  }
  if (file != nullptr) fclose(file);
  return own;
}

pid_t spawn(const Options& options) {
  int gate[2];
  if (pipe2(gate, O_CLOEXEC) != 0) die("pipe");
  pid_t pid = fork();
  if (pid < 0) die("fork");
  if (pid == 0) {
    char byte;
    close(gate[1]);
    if (read(gate[0], &byte, 1) != 1) _exit(125);
    execvp(options.command[0], options.command);
    die(options.command[0]);
  }
  long events = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_TRACECLONE |
                PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK;
  if (ptrace(PTRACE_SEIZE, pid, nullptr, events) != 0) die("PTRACE_SEIZE");
  if (write(gate[1], "x", 1) != 1) die("write");
  close(gate[0]);
  close(gate[1]);
  return pid;
}

void resume(pid_t tid, int signal) {
  // ESRCH: killed meanwhile; its death will be reported.
  ptrace(PTRACE_SYSCALL, tid, nullptr, static_cast<long>(signal));
}

// At the entry: makes the kernel skip the call. At the exit: gives it the result.
void set_call(pid_t tid, bool entry, long result) {
#if defined(__x86_64__)
  user_regs_struct regs = {};
  iovec block = {&regs, sizeof regs};
  if (ptrace(PTRACE_GETREGSET, tid, 1L /* NT_PRSTATUS */, &block) != 0) return;
  if (entry) {
    regs.orig_rax = static_cast<unsigned long long>(-1);
  } else {
    regs.rax = static_cast<unsigned long long>(result);
  }
  ptrace(PTRACE_SETREGSET, tid, 1L, &block);
#elif defined(__aarch64__)
  if (entry) {
    int number = -1;
    iovec block = {&number, sizeof number};
    ptrace(PTRACE_SETREGSET, tid, 0x404L /* NT_ARM_SYSTEM_CALL */, &block);
    return;
  }
  user_regs_struct regs = {};
  iovec block = {&regs, sizeof regs};
  if (ptrace(PTRACE_GETREGSET, tid, 1L, &block) != 0) return;
  regs.regs[0] = static_cast<unsigned long long>(result);
  ptrace(PTRACE_SETREGSET, tid, 1L, &block);
#else
#error "faultstep knows x86_64 and aarch64"
#endif
}

void kill_target(const Run& run, pid_t tid) {
  if (run.options.children_only || !run.options.follow) {
    kill(run.options.children_only ? tid : run.command, SIGKILL);
    return;
  }
  for (const auto& [each, task] : run.tasks) kill(each, SIGKILL);
}

// brk returns an address, never an errno; the others do not return.
bool can_fail(long number) {
  return number != SYS_exit && number != SYS_exit_group && number != SYS_rt_sigreturn &&
         number != SYS_brk;
}

void on_entry(Run* run, pid_t tid, long number) {
  Task& task = run->tasks[tid];
  if (run->options.children_only && task.own) return;
  ++run->syscalls;
  if (run->syscalls != run->options.strike_at) return;
  run->hit = number;
  if (run->options.kill) {
    kill_target(*run, tid);
  } else if (can_fail(number)) {
    // close frees the descriptor whatever it returns; so it is done, and then said to have failed.
    if (number != SYS_close) set_call(tid, true, 0);
    task.struck = true;
  }
}

void on_syscall_stop(Run* run, pid_t tid) {
  __ptrace_syscall_info info = {};
  long size = sizeof info;
  if (ptrace(static_cast<__ptrace_request>(PTRACE_GET_SYSCALL_INFO), tid, size, &info) <= 0) return;
  if (info.op == PTRACE_SYSCALL_INFO_ENTRY && run->started) {
    on_entry(run, tid, static_cast<long>(info.entry.nr));
  } else if (info.op == PTRACE_SYSCALL_INFO_EXIT && run->tasks[tid].struck) {
    set_call(tid, false, -run->options.error);
    run->tasks[tid].struck = false;
  }
}

// A task seen for the first time: a thread of COMMAND, or a descendant, which is let go unless
// descendants count.
bool adopt(Run* run, pid_t tid) {
  bool own = tid == run->command || is_own(*run, tid);
  if (!own && !run->options.follow) {
    ptrace(PTRACE_DETACH, tid, nullptr, nullptr);
    return false;
  }
  run->tasks[tid].own = own;
  ++run->tasks_seen;
  return true;
}

void on_stop(Run* run, pid_t tid, int status) {
  if (run->tasks.find(tid) == run->tasks.end() && !adopt(run, tid)) return;
  int event = status >> 16;
  int signal = WSTOPSIG(status);
  if (signal == (SIGTRAP | 0x80)) {
    on_syscall_stop(run, tid);
    resume(tid, 0);
  } else if (event == PTRACE_EVENT_EXEC) {
    run->execs += run->started && (!run->options.children_only || !run->tasks[tid].own) ? 1 : 0;
    if (tid == run->command) run->started = true;
    resume(tid, 0);
  } else if (event == PTRACE_EVENT_STOP &&
             (signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU)) {
    ptrace(PTRACE_LISTEN, tid, nullptr, nullptr);  // a job-control stop stays one
  } else {
    resume(tid, event != 0 ? 0 : signal);
  }
}

volatile sig_atomic_t g_time_is_up = 0;

void trace(Run* run) {
  while (true) {
    int status = 0;
    rusage usage = {};
    pid_t tid = wait4(-1, &status, __WALL, &usage);
    if (tid < 0) {
      if (errno != EINTR) die("wait4");
      if (g_time_is_up == 0) continue;
      for (const auto& [each, task] : run->tasks) kill(each, SIGKILL);
      return;
    }
    if (WIFSTOPPED(status)) {
      on_stop(run, tid, status);
      continue;
    }
    run->tasks.erase(tid);
    if (tid == run->command) {
      run->status = status;
      run->usage = usage;
      return;
    }
  }
}

int report(const Run& run) {
  FILE* file = run.options.report != nullptr ? fopen(run.options.report, "we") : stderr;
  if (file == nullptr) die(run.options.report);
  bool exited = WIFEXITED(run.status);
  bool late = g_time_is_up != 0;
  std::string hit = run.hit < 0 ? "none" : std::to_string(run.hit);
  fprintf(file, "syscalls=%ld execs=%ld tasks=%ld maxrss=%ld hit=%s status=%s:%d\n", run.syscalls,
          run.execs, run.tasks_seen, run.usage.ru_maxrss, hit.c_str(),
          late     ? "timeout"
          : exited ? "exit"
                   : "signal",
          late     ? static_cast<int>(run.options.seconds)
          : exited ? WEXITSTATUS(run.status)
                   : WTERMSIG(run.status));
  fflush(file);
  if (late) return 124;
  return exited ? WEXITSTATUS(run.status) : 128 + WTERMSIG(run.status);
}

}  // namespace

int main(int argc, char** argv) {
  Run run;
  run.options = parse(argc, argv);
  // Ctrl-C and the like are COMMAND's business; faultstep reports how it took them.
  signal(SIGINT, SIG_IGN);
  signal(SIGQUIT, SIG_IGN);
  run.command = spawn(run.options);
  struct sigaction on_alarm = {};
  on_alarm.sa_handler = [](int) { g_time_is_up = 1; };  // without SA_RESTART: ends the waitpid
  sigaction(SIGALRM, &on_alarm, nullptr);
  alarm(run.options.seconds);
  trace(&run);
  return report(run);
}
