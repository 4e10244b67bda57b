// Not a test of coracle: the little program that reporter_test.py runs to compare what the
// reporter prints with what a cmocka program prints. Some of its tests fail on purpose.
#include <doctest/doctest.h>

#include <csignal>
#include <cstdlib>
#include <stdexcept>

#include "tests/unit/cmocka_reporter.h"

TEST_CASE("passes") { CHECK(1 + 1 == 2); }

TEST_CASE("fails <&\"") {
  INFO("context ]]> of the check");
  CHECK(1 == 2);
}

TEST_CASE("is skipped") { SKIP_TEST("needs a moon"); }

TEST_CASE("throws") { throw std::runtime_error("boom"); }

TEST_CASE("fails after asking for a skip") {
  coracle::tests::note_skip("must not hide the failure");
  CHECK_FALSE(true);
}

TEST_CASE("crashes if told so") {
  if (std::getenv("SAMPLE_CRASH") != nullptr) std::raise(SIGSEGV);
  CHECK(true);
}
