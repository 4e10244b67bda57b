// Workers that end in other ways than with a report.
#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <string>

#include "runtime/sys/worker.h"
#include "shim/children.h"
#include "spec/error.h"

using coracle::shim::Children;
using coracle::shim::Loop;
using coracle::shim::Outcome;

namespace {

Outcome outcome_of(const Children::Task& task) {
  Loop loop;
  Children children(loop);
  Outcome result;
  children.work(task, [&](Outcome outcome) {
    result = std::move(outcome);
    loop.stop();
  });
  loop.run();
  return result;
}

}  // namespace

TEST_CASE("children: what a worker returns or throws is its outcome") {
  CHECK(outcome_of([] { return Outcome{"", 7, {}, "text"}; }).text == "text");
  CHECK(outcome_of([]() -> Outcome { throw coracle::spec::Error("it broke"); }).error ==
        "it broke");
}

TEST_CASE("children: a worker without a report: by what it ended") {
  CHECK(outcome_of([] { return kill(getpid(), SIGKILL), Outcome(); }).error ==
        "the process that does it was killed by signal 9");
  CHECK(outcome_of([]() -> Outcome { coracle::sys::leave_worker(105); }).error ==
        "the process that does it failed to report its result: "
        "No buffer space available (ENOBUFS)");
  CHECK(outcome_of([]() -> Outcome { coracle::sys::leave_worker(0); }).error ==
        "the process that does it ended early, with status 0");
}
