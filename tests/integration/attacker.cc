// What a hostile container does to the processes of a runtime that come into its view; static, so
// that it runs inside a container.
//
//   attacker watch canary=PATH binary=DEVICE:INODE hook=DEVICE:INODE name=TEXT devices=DEVICE,...
//                  namespaces=INODE,...
//       Goes without a pause for every process that appears in this pid namespace, until /stop
//       exists, and then reports. PATH is a file of the host that no container has, the inodes are
//       those of the runtime's binary and of the program of its hooks, the name is part
//       of those of its processes, the devices are those of the host's programs, and the
//       namespaces are the host's.
//   decoy PID user|- COUNT MICROSECONDS
//       Under this name it does on the host what a runtime must not do: enters the pid namespace of
//       PID (and its user namespace) with the host's root, binary and descriptors. What the watcher
//       finds there proves that it can see.
#include "attacker.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

using namespace attacker;

namespace {

using std::string;

constexpr size_t kMostVictims = 32;
constexpr long kLongest = 3'000'000;  // us for which one process is attacked

Counts of_victims, of_decoys, of_hooks;
long writable = 0, written = 0;
std::vector<Victim> victims;
std::set<string> samples;

long now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1'000'000 + time.tv_nsec / 1000;
}

// ---- a process, from its appearance to its end ---------------------------------------------

void finish(Victim& victim) {
  Counts& sum = victim.decoy ? of_decoys : of_victims;
  ++sum.seen;
  sum.named += victim.named;
  add(sum, victim.counts);
  add(of_hooks, victim.of_hook);
  of_hooks.seen += victim.in_hook;
  if (!victim.decoy && samples.size() < 60) samples.merge(victim.samples);
  close(victim.folder);
  close(victim.pidfd);
  victim.folder = -1;
}

bool is_over(const Victim& victim) {
  const string state = read_at(victim.folder, "stat", 256);
  const size_t end = state.rfind(") ");
  if (end == string::npos) return true;
  if (victim.seized) return false;
  return victim.in_image >= 2 || state[end + 2] == 'Z' || state[end + 2] == 'X' ||
         now() - victim.since > kLongest;
}

bool appeared(int pid) {
  Victim victim;
  victim.folder = open(("/proc/" + std::to_string(pid)).c_str(), O_PATH | O_CLOEXEC);
  if (victim.folder < 0) return false;
  victim.pid = pid;
  victim.pidfd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  victim.since = now();
  if (victims.size() < kMostVictims) victims.push_back(victim);
  return true;
}

int last_pid() {
  const string text = read_at(AT_FDCWD, "/proc/loadavg", 128);
  const size_t at = text.rfind(' ');
  return at == string::npos ? 0 : atoi(text.c_str() + at);
}

// Tries the next numbers; now and then the kernel says which was the last one.
int look_for_new(int next, long round) {
  for (int ahead = 0; ahead < 3; ++ahead) {
    if (!appeared(next + ahead)) continue;
    next += ahead + 1;
    ahead = -1;
  }
  if (round % 16 != 0) return next;
  const int last = last_pid();
  if (last >= next) {
    appeared(last);
    return last + 1;
  }
  return last + 1 < next && last != 0 ? last + 1 : next;
}

// ---- the report ----------------------------------------------------------------------------

void print(const char* whose, const Counts& all) {
  printf("%s seen=%ld named=%ld tries=%ld channel=%ld excess=%ld unfiltered=%ld", whose, all.seen,
         all.named, all.tries, all.channels, all.excess, all.unfiltered);
  for (int kind = 0; kind < kKinds; ++kind) {
    printf(" foreign_%s=%ld/%ld early_%s=%ld/%ld", kKindNames[kind], all.foreign[kind].hits,
           all.foreign[kind].victims, kKindNames[kind], all.early[kind].hits,
           all.early[kind].victims);
  }
  puts("");
}

void report() {
  print("victims", of_victims);
  print("decoys", of_decoys);
  print("hooks", of_hooks);
  printf("binary writable=%ld written=%ld\n", writable, written);
  for (const string& text : samples) printf("sample %s\n", text.c_str());
  puts("end");
  fflush(stdout);
}

// ---- commands ------------------------------------------------------------------------------

std::pair<dev_t, ino_t> inode(const string& text) {
  return {strtoull(text.c_str(), nullptr, 10),
          strtoull(text.c_str() + text.find(':') + 1, nullptr, 10)};
}

std::set<ino_t> numbers(const string& text) {
  std::set<ino_t> found;
  for (size_t at = 0; at < text.size();) {
    found.insert(strtoull(text.c_str() + at, nullptr, 10));
    at = std::min(text.find(',', at), text.size() - 1) + 1;
  }
  return found;
}

bool take(const string& argument) {
  const size_t at = argument.find('=');
  if (at == string::npos) return false;
  const string key = argument.substr(0, at), value = argument.substr(at + 1);
  if (key == "canary") settings.canary = value;
  if (key == "name") settings.name = value;
  if (key == "binary") settings.binary = inode(value);
  if (key == "hook") settings.hook = inode(value);
  if (key == "devices") settings.devices = numbers(value);
  if (key == "namespaces") settings.namespaces = numbers(value);
  return true;
}

void learn_own() {
  for (const char* path : {"/proc/self/exe", "/bin/busybox", "/bin/probe"}) {
    struct stat info {};
    if (stat(path, &info) == 0) settings.image.insert({info.st_dev, info.st_ino});
  }
  for (const char* name : {"mnt", "cgroup", "net", "ipc", "uts", "user"}) {
    struct stat info {};
    if (stat((string("/proc/self/ns/") + name).c_str(), &info) == 0) {
      settings.namespaces.erase(info.st_ino);
    }
  }
  settings.bounding = field(read_at(AT_FDCWD, "/proc/self/status"), "CapBnd", 16);
}

// The last processor is ours; the tests keep what they start off it.
void stay_on_last_processor() {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN) - 1), &one);
  if (sched_setaffinity(0, sizeof one, &one) != 0) perror("sched_setaffinity");
}

int hunt() {
  stay_on_last_processor();
  learn_own();
  int next = last_pid() + 1;
  puts("up");
  fflush(stdout);
  for (long round = 0; round % 64 != 0 || access("/stop", F_OK) != 0; ++round) {
    next = look_for_new(next, round);
    for (Victim& victim : victims) {
      attack(victim);
    }
    look_at_stopped(victims);
    for (Victim& victim : victims) {
      if (is_over(victim)) finish(victim);
    }
    std::erase_if(victims, [](const Victim& victim) { return victim.folder < 0; });
    try_to_write(&writable, &written);
  }
  try_to_write(&writable, &written);
  for (Victim& victim : victims) finish(victim);
  report();
  return 0;
}

// The first process of a pid namespace has to wait for everybody's orphans.
int watch(int count, char** arguments) {
  for (int i = 0; i < count; ++i) {
    if (!take(arguments[i])) return 64;
  }
  const pid_t child = fork();
  if (child == 0) return hunt();
  int status = 0;
  for (pid_t ended = 0; ended != child;) {
    ended = wait(&status);
    if (ended < 0 && errno != EINTR) return 1;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool enter(const string& pid, const char* name, int kind) {
  const int fd = open(("/proc/" + pid + "/ns/" + name).c_str(), O_RDONLY | O_CLOEXEC);
  const bool done = fd >= 0 && setns(fd, kind) == 0;
  if (!done) perror(name);
  if (fd >= 0) close(fd);
  return done;
}

void spend(long microseconds) {
  for (const long end = now() + microseconds; now() < end;) {
  }
}

int decoy(int count, char** arguments) {
  if (count < 4) return 64;
  const string pid = arguments[0];
  const int root = open("/", O_RDONLY | O_DIRECTORY);
  const int space = open(("/proc/" + pid + "/ns/pid").c_str(), O_RDONLY | O_CLOEXEC);
  if (root < 0 || space < 0) return perror("open"), 1;
  // Root may enter before it loses its rights by joining the user namespace, an ordinary user only
  // when that has given him some.
  const bool entered = setns(space, CLONE_NEWPID) == 0;
  if (strcmp(arguments[1], "user") == 0 && !enter(pid, "user", CLONE_NEWUSER)) return 1;
  if (!entered && setns(space, CLONE_NEWPID) != 0) return perror("pid"), 1;
  if (setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0) return perror("setresuid"), 1;
  prctl(PR_SET_DUMPABLE, 1);
  for (int i = 0; i < atoi(arguments[2]); ++i) {
    const pid_t child = fork();
    if (child == 0) {
      spend(atol(arguments[3]));
      _exit(0);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (strcmp(basename(argv[0]), "decoy") == 0) return decoy(argc - 1, argv + 1);
  if (argc > 1 && strcmp(argv[1], "watch") == 0) return watch(argc - 2, argv + 2);
  fputs("attacker: unknown command\n", stderr);
  return 64;
}
