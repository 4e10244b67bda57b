// Running a program and reading what it prints.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace coracle::sys {

// Runs argv[0] (found by $PATH) with /dev/null as its input and our stderr, and reads its output to
// the end. `wait_status` is as of waitpid(2). 0 or -errno.
int run_and_read(const std::vector<std::string>& argv, std::string& output, int& wait_status);

// The first executable file `name` in the directories of $PATH, absolute; "" if there is none.
// Directories that are not absolute are passed over: they depend on where we stand.
std::string find_program(std::string_view name);

}  // namespace coracle::sys
