#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/sys/child_stack.h"

namespace sys = coracle::sys;

TEST_CASE("child stack: a child with memory of its own has frames of its own, and can tell") {
  sys::ChildStack<int> page;
  REQUIRE(page);
  volatile char* frame = static_cast<char*>(page.top()) - 64;
  *frame = 'a';
  *page.outcome() = 0;
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    *frame = 'b';
    *page.outcome() = 7;
    _exit(0);
  }
  REQUIRE(waitpid(child, nullptr, 0) == child);
  CHECK(*frame == 'a');
  CHECK(*page.outcome() == 7);
}
