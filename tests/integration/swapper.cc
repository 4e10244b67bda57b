// Both sides of the races of test_swap_races.py, static, so that it runs inside a container too.
//
//   swapper swap FOLDER NAME OTHER...   exchanges NAME with each OTHER in turn, without a pause,
//                                       until SIGTERM; then prints "swaps=N" and how often it
//                                       failed
//   swapper report OPERATION:PATH...    what the container shows; one line each, then "reported"
//       mounts:        root, mount point, type and options of every mount
//       cat:PATH       the beginning of the file, or the errno's name
//       kind:PATH      "chr 1:3", "dir empty", "dir 2", "reg", "lnk", or the errno's name
//       write:PATH     whether it can be opened for writing (nothing is written)
//       create:PATH    whether a file can be made there
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace {

constexpr unsigned kExchange = 2;  // RENAME_EXCHANGE
volatile sig_atomic_t stopped = 0;

void stop(int) { stopped = 1; }

int swap_names(char** names) {
  struct sigaction action = {};
  action.sa_handler = stop;
  sigaction(SIGTERM, &action, nullptr);
  int folder = open(names[0], O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return 1;
  puts("up");
  fflush(stdout);
  long swaps = 0, failed = 0;
  while (!stopped) {
    const char* name = names[1];
    for (char** other = names + 2; *other != nullptr; ++other) {
      if (strcmp(*other, "--") == 0) {
        name = *++other;
        continue;
      }
      long r = syscall(SYS_renameat2, folder, name, folder, *other, kExchange);
      ++(r == 0 ? swaps : failed);
    }
  }
  printf("swaps=%ld failed=%ld\n", swaps, failed);
  return 0;
}

const char* error_or(const char* text, long result) {
  return result < 0 ? strerrorname_np(errno) : text;
}

void show_mounts(const char*) {
  FILE* file = fopen("/proc/self/mountinfo", "re");
  if (file == nullptr) {
    printf("mounts %s\n", error_or("", -1));
    return;
  }
  char line[8192], root[4096], point[4096], options[512], type[64];
  while (fgets(line, sizeof line, file) != nullptr) {
    const char* behind = strstr(line, " - ");
    if (behind == nullptr || sscanf(behind + 3, "%63s", type) != 1) continue;
    if (sscanf(line, "%*s %*s %*s %4095s %4095s %511s", root, point, options) != 3) continue;
    printf("mount %s %s %s %s\n", root, point, type, options);
  }
  fclose(file);
}

void show_text(const char* path) {
  char text[200];
  int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
  if (n >= 0) {
    text[n] = 0;
    for (char* c = text; *c != 0; ++c) *c = *c == '\n' ? '|' : *c;
  }
  printf("cat %s %s\n", path, error_or(text, n));
  if (fd >= 0) close(fd);
}

int entries(const char* path) {
  DIR* folder = opendir(path);
  if (folder == nullptr) return -1;
  int count = 0;
  while (dirent* entry = readdir(folder)) {
    count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
  }
  closedir(folder);
  return count;
}

void show_kind(const char* path) {
  struct stat st = {};
  if (lstat(path, &st) != 0) {
    printf("kind %s %s\n", path, error_or("", -1));
  } else if (S_ISDIR(st.st_mode)) {
    int count = entries(path);
    if (count > 0) printf("kind %s dir %d\n", path, count);
    if (count <= 0) printf("kind %s dir %s\n", path, error_or("empty", count));
  } else if (S_ISCHR(st.st_mode)) {
    printf("kind %s chr %u:%u\n", path, major(st.st_rdev), minor(st.st_rdev));
  } else {
    printf("kind %s %s\n", path, S_ISREG(st.st_mode) ? "reg" : S_ISLNK(st.st_mode) ? "lnk" : "?");
  }
}

void show_open(const char* word, const char* path, int flags) {
  int fd = open(path, flags | O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
  printf("%s %s %s\n", word, path, error_or("ok", fd));
  if (fd >= 0) close(fd);
}

void show_write(const char* path) { show_open("write", path, 0); }
void show_create(const char* path) { show_open("create", path, O_CREAT); }

int report(char** operations) {
  struct {
    const char* name;
    void (*show)(const char*);
  } const known[] = {{"mounts:", show_mounts},
                     {"cat:", show_text},
                     {"kind:", show_kind},
                     {"write:", show_write},
                     {"create:", show_create}};
  for (; *operations != nullptr; ++operations) {
    for (const auto& one : known) {
      size_t size = strlen(one.name);
      if (strncmp(*operations, one.name, size) == 0) one.show(*operations + size);
    }
  }
  puts("reported");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc >= 5 && strcmp(argv[1], "swap") == 0) return swap_names(argv + 2);
  if (argc >= 3 && strcmp(argv[1], "report") == 0) return report(argv + 2);
  fputs("usage: swapper swap FOLDER NAME OTHER... | report OPERATION:PATH...\n", stderr);
  return 64;
}
