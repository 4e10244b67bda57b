// The rows of ps(1)'s table that belong to a container.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

namespace coracle::commands {

// The header of `table` (a row with a column PID) and the rows whose PID is in `pids` (sorted).
// Throws spec::Error if there is no such column.
std::string filter_ps_table(std::string_view table, const std::vector<pid_t>& pids);

}  // namespace coracle::commands
