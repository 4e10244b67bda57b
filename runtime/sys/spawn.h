// Running a program and reading what it prints.
#pragma once

#include <string>
#include <vector>

namespace coracle::sys {

// Runs argv[0] (found by $PATH) with /dev/null as its input and our stderr, and reads its output to
// the end. `wait_status` is as of waitpid(2). 0 or -errno.
int run_and_read(const std::vector<std::string>& argv, std::string& output, int& wait_status);

}  // namespace coracle::sys
