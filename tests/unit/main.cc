// The main program of every unit test executable: doctest's engine behind cmocka's face.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include "tests/unit/cmocka_reporter.h"

int main(int argc, char** argv) { return coracle::tests::run_like_cmocka(argc, argv); }
