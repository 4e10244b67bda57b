// Words that engines look for. containerd's shim, CRI-O, Podman and Docker recognise situations by
// these substrings of the error text, not by exit codes: they are an interface, and each has a unit
// test. Who says one of them builds on the constant and may only add around it.
#pragma once

namespace coracle::messages {

// containerd and CRI-O: NotFound, "no such container".
inline constexpr char kDoesNotExist[] = "container does not exist";
// containerd and CRI-O, on kill: NotFound, "process already finished".
inline constexpr char kNotRunning[] = "container not running";
inline constexpr char kNoSuchProcess[] = "no such process";

inline constexpr char kIdExists[] = "container with given ID already exists";
inline constexpr char kInvalidId[] = "invalid container ID format";

inline constexpr char kStartRunning[] = "cannot start an already running container";
inline constexpr char kStartStopped[] = "cannot start a container that has stopped";
// "cannot delete container ID that is not stopped: running"
inline constexpr char kDelete[] = "cannot delete container ";
inline constexpr char kNotStopped[] = " that is not stopped: ";
inline constexpr char kExecStopped[] = "cannot exec in a stopped container";
inline constexpr char kExecPaused[] =
    "cannot exec in a paused container (use --ignore-paused to override)";

// Podman and Docker: exit 127, "command not found"; exec: "NAME": executable ...
inline constexpr char kNotInPath[] = "executable file not found in $PATH";
// Podman and Docker: 127 for the first, 126 for the second.
inline constexpr char kNoSuchFile[] = "no such file or directory";
inline constexpr char kPermissionDenied[] = "permission denied";
// chdir to cwd ("/d") set in config.json failed: no such file or directory
inline constexpr char kChdir[] = "chdir to cwd (";
inline constexpr char kChdirFailed[] = ") set in config.json failed: ";

// At level debug, in the order of a container's making. What greps for them is runc's own suite.
inline constexpr char kDebugSetup[] = "nsexec container setup";
inline constexpr char kDebugChild[] = "child process in init()";
inline constexpr char kDebugFilter[] = "seccomp filter flags: ";  // and a number, nothing behind it
inline constexpr char kDebugRuns[] = "init: closing the pipe to signal completion";
inline constexpr char kDebugExec[] = "setns_init: about to exec";  // of `exec`

}  // namespace coracle::messages
