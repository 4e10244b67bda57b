// Processes by identity: a pid alone names a process only until it is reused, a pid with its start
// time (and, across reboots, the boot id) names it for good.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/types.h>

#include <string>

#include "runtime/sys/fd.h"

namespace coracle::sys {

// Ids of this process as they were at its exec (getauxval(3)): it never changes them, and the
// kernel has told them already.
inline uid_t real_uid() { return static_cast<uid_t>(getauxval(AT_UID)); }
inline uid_t effective_uid() { return static_cast<uid_t>(getauxval(AT_EUID)); }
inline gid_t real_gid() { return static_cast<gid_t>(getauxval(AT_GID)); }
inline gid_t effective_gid() { return static_cast<gid_t>(getauxval(AT_EGID)); }

struct ProcessId {
  pid_t pid = 0;            // 0: none
  uint64_t start_time = 0;  // clock ticks since boot: field 22 of /proc/PID/stat (proc_pid_stat(5))
};

struct ProcessStat {
  char state = 0;  // R S D Z T t X I
  pid_t parent = 0;
  uint64_t start_time = 0;
  uint64_t cpu_ticks = 0;  // processor time, with that of children it has waited for
};

// 0 or -errno: ESRCH where there is no such process.
int read_process_stat(pid_t pid, ProcessStat& out);

// Bit n-1: this process ignores signal n (proc_pid_status(5), SigIgn). 0 or -errno.
[[nodiscard]] int ignored_signals(uint64_t& out);

// The text of such a file, NUL-terminated; false if it is not one.
bool parse_process_stat(const char* text, ProcessStat& out);

// The caller itself, as it was when this was first asked. 0 or -errno.
int self_stat(ProcessStat& out);
int self_id(ProcessId& out);

// A pidfd of exactly this process: opened first and compared after, so a reused pid is never taken
// for it. Holds -ESRCH if it is gone, is a zombie, or is another process by now.
Fd open_process(const ProcessId& id);

// pidfd_open(2), Linux 5.3, and pidfd_send_signal(2), Linux 5.1. An fd; 0; or -errno.
Fd pidfd_open(pid_t pid);
int pidfd_send_signal(const Fd& pidfd, int signal);

// Waits until the process behind the pidfd has ended (zombie or gone). 1: ended, 0: time is up,
// or -errno (-EINTR included). timeout_ms < 0: for ever.
int pidfd_wait(const Fd& pidfd, int timeout_ms);

// Waits for the end of a child of ours. 0, or -errno: -ECHILD where there is none, or where SIGCHLD
// is ignored (main() sees to it that it is not).
[[nodiscard]] int reap(pid_t pid, int& status);
// The same for a child that must not go on: SIGKILL first. Its status is of no interest.
void end_child(pid_t pid);
// Whether the process behind the pidfd is a child of ours that was not reaped yet.
[[nodiscard]] bool is_child(const Fd& pidfd);
// Such a child that has ended is left to be reaped: true, and its status.
[[nodiscard]] bool has_ended(const Fd& pidfd, int& status);
// Children that have ended, but for `but`: what daemonised falls to a subreaper (prctl(2)).
void reap_strangers(pid_t but);

// How the process behind the pidfd ended, as waitpid(2) would give it, for who is not its parent:
// from the pidfd itself once it was reaped (PIDFD_GET_INFO, Linux 6.15), or from procfs while it is
// a zombie (`id`; proc_pid_stat(5), field 52, shown to who may ptrace it). Waits for the end, and
// then a moment for its parent to reap it. 0; -ENODATA where neither tells it; or another -errno.
int wait_for_status(const Fd& pidfd, const ProcessId& id, int& status);

// In words, how a process ended whose status waitpid(2) told: "signal 9", "exit status 1".
std::string how_ended(int wait_status);

// False inside a user namespace: its inode is not PROC_USER_INIT_INO (linux/proc_ns.h).
bool in_initial_user_namespace();

inline constexpr size_t kBootIdSize = 36;  // characters of a UUID
// Identity of this boot (random(4)), NUL-terminated. 0 or -errno.
int read_boot_id(char (&out)[kBootIdSize + 1]);

}  // namespace coracle::sys
