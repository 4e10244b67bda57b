"""A corner of the machine in which a test may break things.

The test program forks. The parent mounts cgroup2 in a private mount namespace and makes one
cgroup; the child joins it, takes new cgroup, mount, network and ipc namespaces and mounts cgroup2
on /sys/fs/cgroup again: what it sees there is only its own subtree, on a hybrid machine too.
The child itself sits in the leaf "harness", so that controllers may be enabled above containers.
At the end the parent ends what is still in the cgroup (cgroup.kill, nothing else) and removes it.
"""
import ctypes
import fcntl
import os
import signal
import socket
import stat
import struct
import sys
import tempfile
import time
import traceback

CGROUP = "/sys/fs/cgroup"
LEAF = "harness"
CLONE_NEWNS, CLONE_NEWCGROUP = 0x00020000, 0x02000000
CLONE_NEWIPC, CLONE_NEWNET = 0x08000000, 0x40000000
MS_PRIVATE_REC = 0x40000 | 0x4000
MS_BIND = 4096
PR_SET_CHILD_SUBREAPER = 36
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result, what):
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, "%s: %s" % (what, os.strerror(error)))


def unshare(flags):
    _checked(_libc.unshare(flags), "unshare")


def mount(source, target, kind, flags=0, data=None):
    _checked(_libc.mount(source.encode(), target.encode(), kind.encode() if kind else None,
                         ctypes.c_ulong(flags), data.encode() if data else None),
             "mount " + target)


def umount(target):
    _checked(_libc.umount2(target.encode(), 2), "umount " + target)


def unable():
    """None, or why the tests cannot run here."""
    if os.geteuid() != 0:
        return "needs root"
    pid = os.fork()
    if pid == 0:
        try:
            unshare(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWNET | CLONE_NEWIPC)
            mount("none", "/", None, MS_PRIVATE_REC)
            _mount_cgroup2()
            os._exit(0)
        except OSError:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    return None if status == 0 else "cannot make private namespaces with a cgroup2 mount"


def _mount_cgroup2():
    """cgroup2 as this cgroup namespace sees it, in place of what is on CGROUP now. The same tree
    twice on one place would be EBUSY."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
        kinds = [line.split(" - ")[1].split()[0] for line in file if line.split()[4] == CGROUP]
    if kinds and kinds[-1] == "cgroup2":
        umount(CGROUP)
    mount("none", CGROUP, "cgroup2")


def _private_null():
    """A /dev/null of our own: runtimes have been seen to change the owner of the machine's."""
    folder = tempfile.mkdtemp(prefix="coracle-null-")
    mount("tmpfs", folder, "tmpfs")
    os.mknod(folder + "/null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    os.chmod(folder + "/null", 0o666)
    mount(folder + "/null", "/dev/null", None, MS_BIND)
    umount(folder)
    os.rmdir(folder)


def _write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def _private_mounts():
    unshare(CLONE_NEWNS)
    mount("none", "/", None, MS_PRIVATE_REC)
    _mount_cgroup2()


def inside(function):
    """Runs function() isolated in a child; returns its exit status."""
    # Orphans (detached containers) come to this process, which waits for every one of them: a
    # zombie in a pid namespace would keep the namespace's init from going.
    _checked(_libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl")
    _private_mounts()
    own = "%s/coracle-test-%d" % (CGROUP, os.getpid())
    os.mkdir(own)
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        status = 70
        try:
            _enter(own)
            status = function()
        except SystemExit as leaving:
            status = leaving.code
        except BaseException:  # os._exit below would swallow it
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(status if isinstance(status, int) else 70)
    try:
        pid, status = os.waitpid(-1, 0)
        while pid != child:
            pid, status = os.waitpid(-1, 0)
        return os.waitstatus_to_exitcode(status) & 255
    finally:
        _remove_tree(own)


def _loopback_up():
    """As on any host; criu(8) connects to it to learn what the kernel can do."""
    request = struct.pack("16sH22x", b"lo", IFF_UP)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        fcntl.ioctl(one, SIOCSIFFLAGS, request)


def _enter(own):
    _write(own + "/cgroup.procs", "0")
    unshare(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWNET | CLONE_NEWIPC)
    mount("none", "/", None, MS_PRIVATE_REC)
    _mount_cgroup2()
    _private_null()
    _loopback_up()
    os.mkdir(CGROUP + "/" + LEAF)
    _write("%s/%s/cgroup.procs" % (CGROUP, LEAF), "0")


def _remove_tree(top, keep=()):
    """cgroup.kill, then rmdir from the leaves up; waits for processes to go, at most 5 s."""
    for name in _children(top):
        if name not in keep:
            _remove_tree(os.path.join(top, name))
    if keep:
        return
    try:
        _write(top + "/cgroup.kill", "1")
    except OSError:
        pass  # it went away meanwhile, or it is the root, which holds nobody
    end = time.monotonic() + 5
    while os.path.isdir(top):
        try:
            os.rmdir(top)
        except OSError:
            if time.monotonic() > end:
                sys.stderr.write("# cannot remove cgroup %s\n" % top)
                return
            reap()
            time.sleep(0.01)


def _children(folder):
    try:
        return [entry.name for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def reap():
    """Takes the exit status of every dead child; for when no Popen is waited for."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass
    except ChildProcessError:
        pass


# ---- what a test left behind ---------------------------------------------------------------

def _mounts():
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
        return {line.split()[0]: line.split()[4] for line in file}


def _null():
    info = os.stat("/dev/null")
    return stat.filemode(info.st_mode), info.st_uid, info.st_gid, info.st_rdev


def _strangers():
    """Processes of our cgroup that are neither we nor already gone: "pid name"."""
    found = []
    for folder, _, _ in os.walk(CGROUP):
        try:
            with open(folder + "/cgroup.procs", encoding="ascii") as file:
                pids = [int(line) for line in file]
        except OSError:
            continue
        for pid in pids:
            if pid in (0, os.getpid()):
                continue
            try:
                with open("/proc/%d/stat" % pid, encoding="ascii", errors="replace") as file:
                    words = file.read()
            except OSError:
                continue
            if words.rpartition(")")[2].split()[0] not in "ZX":
                found.append("%d %s" % (pid, words[words.index("("):words.rindex(")") + 1]))
    return found


def _cgroups():
    return {os.path.relpath(folder, CGROUP) for folder, _, _ in os.walk(CGROUP)}


def snapshot():
    return {"mounts": _mounts(), "cgroups": _cgroups(), "null": _null(),
            "links": set(os.listdir("/sys/class/net")) if os.path.isdir("/sys/class/net") else None}


def leaks(before, state_root):
    """What is there now and was not before, in words. A process may need a moment to go."""
    end = time.monotonic() + 1
    while _strangers() and time.monotonic() < end:
        reap()
        time.sleep(0.01)
    out = ["process " + words for words in _strangers()]
    out += ["cgroup " + name for name in sorted(_cgroups() - before["cgroups"])]
    now = _mounts()
    out += ["mount " + now[key] for key in sorted(set(now) - set(before["mounts"]))]
    out += ["lost mount " + before["mounts"][key] for key in set(before["mounts"]) - set(now)]
    if os.path.isdir(state_root):
        # A name with a dot in front is a cache of the runtime's, shared by all containers.
        out += ["state file " + name for name in sorted(os.listdir(state_root))
                if not name.startswith(".")]
    if _null() != before["null"]:
        out.append("/dev/null changed: %s, was %s" % (_null(), before["null"]))
    return out


def clean(before):
    """Puts the corner back into the state of `before` for the next test."""
    for pid in [int(words.split()[0]) for words in _strangers()]:
        try:
            os.kill(pid, signal.SIGKILL)  # only processes in our own cgroup are listed
        except OSError:
            pass
    for name in _children(CGROUP):
        if name != LEAF:
            _remove_tree(os.path.join(CGROUP, name))
    reap()
    now = _mounts()
    for key in sorted(set(now) - set(before["mounts"]), key=int, reverse=True):
        try:
            umount(now[key])
        except OSError:
            pass  # it went with another one
