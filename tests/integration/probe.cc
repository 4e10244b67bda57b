// A static program that the integration tests run inside a container to see what busybox cannot
// show. usage: probe COMMAND [ARGUMENT]...; every command prints one answer on stdout.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

namespace {

long number(const char* text) { return strtol(text, nullptr, 0); }

// Prints the value, or the name of the errno in place of -1.
int say(long value) {
  if (value == -1) {
    puts(strerrorname_np(errno));
  } else {
    printf("%ld\n", value);
  }
  return 0;
}

int keyring(char**) {
  return say(syscall(SYS_keyctl, 0 /* GET_KEYRING_ID */, -3 /* session */, 0));
}

int mask(char**) {
  printf("%04o\n", umask(0));
  return 0;
}

// The open descriptors but the one that lists them; with an argument also where they lead.
int fds(char** args) {
  DIR* folder = opendir("/proc/self/fd");
  if (folder == nullptr) return 1;
  while (dirent* entry = readdir(folder)) {
    if (entry->d_name[0] == '.' || number(entry->d_name) == dirfd(folder)) continue;
    char target[256] = "";
    if (args[0] != nullptr) {
      if (readlinkat(dirfd(folder), entry->d_name, target, sizeof target - 1) < 0) return 1;
      printf("%s=%s ", entry->d_name, target);
    } else {
      printf("%s ", entry->d_name);
    }
  }
  puts("");
  return 0;
}

int sched(char**) {
  struct {
    unsigned size, policy;
    unsigned long flags;
    int nice;
    unsigned priority;
    unsigned long runtime, deadline, period;
  } attr = {};
  if (syscall(SYS_sched_getattr, 0, &attr, sizeof attr, 0) != 0) return say(-1);
  printf("policy=%u flags=%lu nice=%d priority=%u runtime=%lu deadline=%lu period=%lu\n",
         attr.policy, attr.flags, attr.nice, attr.priority, attr.runtime, attr.deadline,
         attr.period);
  return 0;
}

int ioprio(char**) {
  long value = syscall(SYS_ioprio_get, 1 /* IOPRIO_WHO_PROCESS */, 0);
  printf("class=%ld priority=%ld\n", value >> 13, value & 0x1fff);
  return 0;
}

int affinity(char**) {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return say(-1);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) printf("%d ", cpu);
  }
  puts("");
  return 0;
}

int mempolicy(char**) {
  int mode = -1;
  unsigned long nodes[16] = {};
  if (syscall(SYS_get_mempolicy, &mode, nodes, 1024UL, nullptr, 0UL) != 0) return say(-1);
  printf("mode=%d nodes=%lx\n", mode, nodes[0]);
  return 0;
}

int persona(char**) {
  printf("%x\n", static_cast<unsigned>(personality(0xffffffff)));
  return 0;
}

int dumpable(char**) { return say(prctl(PR_GET_DUMPABLE)); }
int euid(char**) { return say(geteuid()); }
int securebits(char**) { return say(prctl(PR_GET_SECUREBITS)); }
int pdeathsig(char**) {
  int signal = -1;
  prctl(PR_GET_PDEATHSIG, &signal);
  return say(signal);
}

// call NUMBER [ARGUMENT]...: a raw system call; prints its value or the errno's name.
int call(char** args) {
  long a[7] = {};
  for (int i = 0; i < 7 && args[i] != nullptr; ++i) {
    char* end = nullptr;
    a[i] = strtol(args[i], &end, 0);
    if (*end != 0) a[i] = reinterpret_cast<long>(args[i]);  // a path
  }
  return say(syscall(a[0], a[1], a[2], a[3], a[4], a[5], a[6]));
}

// open PATH FLAGS: "ok" or the errno's name. FLAGS: r, w, rw
int open_file(char** args) {
  int flags = strcmp(args[1], "r") == 0 ? O_RDONLY : strcmp(args[1], "w") == 0 ? O_WRONLY : O_RDWR;
  int fd = open(args[0], flags | O_NOCTTY | O_NONBLOCK);
  puts(fd >= 0 ? "ok" : strerrorname_np(errno));
  return 0;
}

int clocks(char**) {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  printf("monotonic=%ld ", static_cast<long>(now.tv_sec));
  clock_gettime(CLOCK_BOOTTIME, &now);
  printf("boottime=%ld\n", static_cast<long>(now.tv_sec));
  return 0;
}

// What kind of terminal 0 is: its name, size, whether it controls us and what /dev/console is.
int tty(char**) {
  winsize size = {};
  ioctl(0, TIOCGWINSZ, &size);
  char name[64] = "none";
  if (ttyname_r(0, name, sizeof name) != 0) strcpy(name, "none");
  struct stat console = {}, in = {};
  fstat(0, &in);
  stat("/dev/console", &console);
  int controlling = open("/dev/tty", O_RDWR | O_CLOEXEC);
  printf("tty=%d%d%d name=%s rows=%d cols=%d ctty=%d console=%d sid=%d uid=%u\n", isatty(0),
         isatty(1), isatty(2), name, size.ws_row, size.ws_col, controlling >= 0,
         console.st_rdev == in.st_rdev, getsid(0) == getpid(), in.st_uid);
  return 0;
}

int tiocsti(char** args) {
  for (char* c = args[0]; *c != 0; ++c) {
    if (ioctl(0, TIOCSTI, c) != 0) {
      puts(strerrorname_np(errno));
      return 0;
    }
  }
  puts("injected");
  return 0;
}

int eat(char** args) {
  size_t bytes = static_cast<size_t>(number(args[0])) << 20;
  char* memory = static_cast<char*>(malloc(bytes));
  if (memory == nullptr) return 1;
  for (size_t at = 0; at < bytes; at += 4096) memory[at] = 1;
  puts("eaten");
  return 0;
}

// Walks over all processes that are not `own` (a pid or 0) and calls look(pid).
template <typename Look>
void each_process(Look look) {
  DIR* folder = opendir("/proc");
  if (folder == nullptr) return;
  while (dirent* entry = readdir(folder)) {
    long pid = number(entry->d_name);
    if (pid > 1 && pid != getpid()) look(static_cast<int>(pid));
  }
  closedir(folder);
}

// Counts what a process that joins this container shows before it becomes the user's program:
// descriptors that lead to files outside, attachable processes, executables open for writing.
struct Seen {
  long processes, foreign_fds, attached, exe_tries, writable_exe;
};

void look_at_fds(int pid, Seen* seen) {
  char path[64], target[512];
  snprintf(path, sizeof path, "/proc/%d/fd", pid);
  DIR* folder = opendir(path);
  if (folder == nullptr) return;
  while (dirent* entry = readdir(folder)) {
    ssize_t length = readlinkat(dirfd(folder), entry->d_name, target, sizeof target - 1);
    if (length <= 0 || number(entry->d_name) < 3) continue;
    target[length] = 0;
    ++seen->foreign_fds;
    fprintf(stderr, "pid %d fd %s -> %s\n", pid, entry->d_name, target);
  }
  closedir(folder);
}

void look_at_exe(int pid, Seen* seen) {
  char path[64], name[512] = "";
  snprintf(path, sizeof path, "/proc/%d/exe", pid);
  ssize_t length = readlink(path, name, sizeof name - 1);
  bool own = length > 0 && strncmp(name, "/bin/", 5) == 0;  // a program of the image itself
  ++seen->exe_tries;
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  close(fd);
  if (own) return;
  ++seen->writable_exe;
  fprintf(stderr, "pid %d exe %s opened for writing\n", pid, name);
}

bool is_program_of_image(int pid) {
  char path[64], name[512] = "";
  snprintf(path, sizeof path, "/proc/%d/exe", pid);
  return readlink(path, name, sizeof name - 1) > 0 && strncmp(name, "/bin/", 5) == 0;
}

void look_by_attaching(int pid, Seen* seen) {
  int status = 0;
  if (ptrace(PTRACE_SEIZE, pid, 0, 0) != 0) return;
  ptrace(PTRACE_INTERRUPT, pid, 0, 0);
  // Judged only once it stands still: it may have become the program, or died, meanwhile.
  if (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status)) {
    if (!is_program_of_image(pid)) ++seen->attached;
    ptrace(PTRACE_DETACH, pid, 0, 0);
  }
}

// spy SECONDS: watches until then or until /stop exists.
int spy(char** args) {
  Seen seen = {};
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  long end = now.tv_sec + number(args[0]);
  puts("up");
  fflush(stdout);
  while (now.tv_sec < end && access("/stop", F_OK) != 0) {
    each_process([&seen](int pid) {
      if (is_program_of_image(pid)) return;
      ++seen.processes;
      look_at_exe(pid, &seen);
      look_by_attaching(pid, &seen);
      look_at_fds(pid, &seen);
    });
    clock_gettime(CLOCK_MONOTONIC, &now);
  }
  printf("processes=%ld foreign_fds=%ld attached=%ld writable_exe=%ld exe_tries=%ld\n",
         seen.processes, seen.foreign_fds, seen.attached, seen.writable_exe, seen.exe_tries);
  return 0;
}

// notify TEXT: a datagram to $NOTIFY_SOCKET, as sd_notify(3) sends it.
int notify(char** args) {
  const char* path = getenv("NOTIFY_SOCKET");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path == nullptr || strlen(path) >= sizeof(address.sun_path)) return say((errno = EINVAL, -1));
  memcpy(address.sun_path, path, strlen(path));
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  return say(sendto(fd, args[0], strlen(args[0]), 0, reinterpret_cast<sockaddr*>(&address),
                    sizeof(address)));
}

struct Command {
  const char* name;
  int arguments;
  int (*run)(char**);
};
constexpr Command kCommands[] = {
    {"affinity", 0, affinity},
    {"call", 1, call},
    {"clocks", 0, clocks},
    {"dumpable", 0, dumpable},
    {"eat", 1, eat},
    {"euid", 0, euid},
    {"fds", 0, fds},
    {"ioprio", 0, ioprio},
    {"keyring", 0, keyring},
    {"mempolicy", 0, mempolicy},
    {"notify", 1, notify},
    {"open", 2, open_file},
    {"pdeathsig", 0, pdeathsig},
    {"personality", 0, persona},
    {"sched", 0, sched},
    {"securebits", 0, securebits},
    {"spy", 1, spy},
    {"tiocsti", 1, tiocsti},
    {"tty", 0, tty},
    {"umask", 0, mask},
};

}  // namespace

int main(int argc, char** argv) {
  for (const Command& command : kCommands) {
    if (argc >= 2 + command.arguments && strcmp(argv[1], command.name) == 0) {
      return command.run(argv + 2);
    }
  }
  fputs("probe: unknown command\n", stderr);
  return 64;
}
