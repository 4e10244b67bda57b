// linux.intelRdt: groups of the resctrl file system (resctrl.rst), which divide caches and memory
// bandwidth among tasks and count what each group uses.
//
//   ROOT/            the default group, and above all others; ROOT/info/last_cmd_status says why
//   the
//                    last request failed
//   ROOT/NAME/       a class of service: `schemata` are its limits, `tasks` who is in it
//   .../mon_groups/  groups that only count, for tasks of that class
//
// A process inherits both from its parent when it is made. Everything throws spec::Error, with
// last_cmd_status where there is one.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

namespace coracle::cgroup {

// Where resctrl is mounted: /sys/fs/resctrl or, by /proc/self/mountinfo, elsewhere. "" if nowhere.
std::string find_resctrl();
// The mount point of the first resctrl in such a text, or "".
std::string resctrl_in(std::string_view mountinfo);

// Makes the group; false if it was there already. A directory that is no group (ROOT/info) is an
// error.
bool make_resctrl_group(const std::string& group);
// A group that only counts, for one container; that there is none of that name yet is required.
void make_resctrl_monitor(const std::string& group);
// The group has to be there already.
void require_resctrl_group(const std::string& group);

// One write, each line ended.
void write_schemata(const std::string& group, const std::vector<std::string_view>& lines);
// Compares lines like "L3:0=7f0;1=1f" with what is in force: the caches that a line names must have
// that value. Masks are numbers (07 is 7), bandwidth counts as rounded up to the steps of the
// hardware (info/MB/bandwidth_gran), as the kernel rounds it.
void check_schemata(const std::string& group, const std::vector<std::string_view>& lines);

void add_resctrl_task(const std::string& group, pid_t pid);
// Its tasks go back to the group above. One that is gone is fine.
void remove_resctrl_group(const std::string& group);

}  // namespace coracle::cgroup
