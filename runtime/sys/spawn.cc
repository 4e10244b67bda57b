#include "runtime/sys/spawn.h"

#include <fcntl.h>
#include <spawn.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "runtime/sys/file.h"
#include "runtime/sys/metadata.h"
#include "runtime/sys/process.h"

namespace coracle::sys {

int run_and_read(const std::vector<std::string>& argv, std::string& output, int& wait_status) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return -errno;
  Fd reader(ends[0]), writer(ends[1]);
  std::vector<char*> words;
  words.reserve(argv.size() + 1);
  for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, writer.get(), STDOUT_FILENO);
  pid_t pid = 0;
  int error = ::posix_spawnp(&pid, words[0], &actions, nullptr, words.data(), ::environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error) return -error;
  writer.reset();
  int r = read_all(reader, output);
  const int waited = reap(pid, wait_status);
  return waited < 0 ? waited : r;
}

std::string find_program(std::string_view name) {
  const char* value = ::getenv("PATH");
  std::string_view rest = value ? value : "/usr/sbin:/usr/bin:/sbin:/bin";
  while (!rest.empty()) {
    const std::string_view directory = rest.substr(0, rest.find(':'));
    rest.remove_prefix(directory.size() == rest.size() ? rest.size() : directory.size() + 1);
    if (directory.empty() || directory.front() != '/') continue;
    std::string path(directory);
    path.append("/").append(name);
    struct stat st;
    if (stat_at(At::cwd(), path.c_str(), st) || !S_ISREG(st.st_mode)) continue;
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return "";
}

}  // namespace coracle::sys
