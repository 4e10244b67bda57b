// Memory of a process that mostly waits.
#pragma once

namespace coracle::sys {

// Unmaps the pages of our code and constants, and gives unused heap back. They stay in the page
// cache and come back by themselves when they are used: a minor fault for 64 KiB each.
void release_idle_memory();

}  // namespace coracle::sys
