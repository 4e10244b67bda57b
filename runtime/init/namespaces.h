// What a process does to its own namespaces before there is a plan to walk.
#pragma once

namespace coracle::init {

// unshare(CLONE_NEWTIME) and the offsets of the new namespace: `text` is a line "clock secs
// nanosecs" for each, as /proc/self/timens_offsets takes them (time_namespaces(7)). They must be
// written before the first process enters, so the caller's children will be in it, not the caller.
// 0 or -errno.
long enter_time_namespace(const char* text);

}  // namespace coracle::init
