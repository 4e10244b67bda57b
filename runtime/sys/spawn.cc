#include "runtime/sys/spawn.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "runtime/sys/file.h"

namespace coracle::sys {

int run_and_read(const std::vector<std::string>& argv, std::string& output, int& wait_status) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return -errno;
  Fd reader(ends[0]), writer(ends[1]);
  std::vector<char*> words;
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
  while (::waitpid(pid, &wait_status, 0) < 0) {
    if (errno != EINTR) return -errno;
  }
  return r;
}

}  // namespace coracle::sys
