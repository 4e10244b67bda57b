"""A corner of the machine for the runtime under test: private mount, cgroup, network and ipc
namespaces, every file system of the host read-only, tmpfs on /run and for the bundles, and a cgroup
of its own as the root of the cgroup2 mount. What a runtime breaks here stays here."""
import ctypes
import os
import shutil
import signal
import stat
import struct
import sys
import tempfile
import time
import traceback

CGROUP = "/sys/fs/cgroup"
NEWNS, NEWCGROUP, NEWIPC, NEWNET = 0x20000, 0x02000000, 0x08000000, 0x40000000
MS_BIND, MS_PRIVATE_REC = 4096, 0x44000
AT_FDCWD, AT_RECURSIVE, SYS_MOUNT_SETATTR = -100, 0x8000, 442  # the same on every architecture
_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result, what):
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, "%s: %s" % (what, os.strerror(error)))


def unshare(flags):
    _checked(_libc.unshare(flags), "unshare")


def mount(source, target, kind=None, flags=0, data=None):
    _checked(_libc.mount(source.encode(), target.encode(), kind.encode() if kind else None,
                         ctypes.c_ulong(flags), data.encode() if data else None),
             "mount on " + target)


def umount(target):
    _checked(_libc.umount2(target.encode(), 2), "umount " + target)


def read_only(path):
    attributes = struct.pack("QQQQ", 1, 0, 0, 0)  # MOUNT_ATTR_RDONLY
    _checked(_libc.syscall(SYS_MOUNT_SETATTR, AT_FDCWD, path.encode(), AT_RECURSIVE, attributes,
                           len(attributes)), "mount_setattr " + path)


def _cgroup2():
    """cgroup2 as this cgroup namespace sees it; the same tree twice on one place is EBUSY."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
        kinds = [line.split(" - ")[1].split()[0] for line in file if line.split()[4] == CGROUP]
    if kinds and kinds[-1] == "cgroup2":
        umount(CGROUP)
    mount("none", CGROUP, "cgroup2")


def unable():
    """None, or why nothing can be run here."""
    if os.geteuid() != 0:
        return "needs root"
    child = os.fork()
    if child == 0:
        try:
            unshare(NEWNS | NEWCGROUP | NEWNET | NEWIPC)
            mount("none", "/", None, MS_PRIVATE_REC)
            _cgroup2()
            os._exit(0)
        except OSError:
            os._exit(1)
    return "no private namespaces with a cgroup2 mount here" if os.waitpid(child, 0)[1] else None


def _write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def _enter(own, scratch):
    _write(own + "/cgroup.procs", "0")
    unshare(NEWNS | NEWCGROUP | NEWNET | NEWIPC)
    mount("none", "/", None, MS_PRIVATE_REC)
    read_only("/")
    _cgroup2()
    mount("proc", "/proc", "proc")  # the host's is read-only now; uid_map and others are written
    for path in ("/run", scratch):
        mount("tmpfs", path, "tmpfs", 0, "mode=755")
    os.mknod(scratch + "/null", 0o20666, os.makedev(1, 3))
    os.chmod(scratch + "/null", 0o666)
    mount(scratch + "/null", "/dev/null", None, MS_BIND)
    os.mkdir(CGROUP + "/suite")
    _write(CGROUP + "/suite/cgroup.procs", "0")
    for name in open(CGROUP + "/cgroup.controllers", encoding="ascii").read().split():
        try:
            _write(CGROUP + "/cgroup.subtree_control", "+" + name)
        except OSError:
            pass  # listed but not to be had; the tests that want it say so
    os.environ["TMPDIR"] = tempfile.tempdir = scratch
    os.environ.pop("NOTIFY_SOCKET", None)
    os.environ.pop("LISTEN_FDS", None)


def inside(function):
    """function() in a child that lives in the corner; returns its exit status."""
    # Orphans come to the child too: it is the parent of every container's process.
    unshare(NEWNS)
    mount("none", "/", None, MS_PRIVATE_REC)
    _cgroup2()
    own = "%s/oci-conformance-%d" % (CGROUP, os.getpid())
    os.mkdir(own)
    scratch = tempfile.mkdtemp(prefix="oci-conformance-")
    os.chmod(scratch, 0o755)
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        status = 70
        try:
            _checked(_libc.prctl(36, 1, 0, 0, 0), "PR_SET_CHILD_SUBREAPER")
            _enter(own, scratch)
            status = function()
        except BaseException:  # os._exit below would swallow it
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(status)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGKILL))
    try:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 255
    finally:
        remove_tree(own)
        shutil.rmtree(scratch, ignore_errors=True)


# ---- cgroups -----------------------------------------------------------------------------------

def cgroups():
    return {os.path.relpath(folder, CGROUP) for folder, _, _ in os.walk(CGROUP)}


def remove_tree(top):
    """Ends everything in it, then removes it from the leaves up; at most 5 s."""
    end = time.monotonic() + 5
    while os.path.isdir(top) and time.monotonic() < end:
        try:
            _write(top + "/cgroup.kill", "1")
        except OSError:
            pass  # it goes away meanwhile
        reap()
        for folder, _, _ in os.walk(top, topdown=False):
            try:
                os.rmdir(folder)
            except OSError:
                time.sleep(0.005)  # somebody is still dying in it


def reap():
    """Takes the exit status of dead children nobody waits for."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def mounts():
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
        return {line.split()[0]: line.split()[4] for line in file}


def clean(before_cgroups, before_mounts):
    """Removes what was not there before."""
    for name in sorted(cgroups() - before_cgroups):
        remove_tree(os.path.join(CGROUP, name))
    now = mounts()
    for number in sorted(set(now) - set(before_mounts), key=int, reverse=True):
        try:
            umount(now[number])
        except OSError:
            pass  # it went with another one
    reap()


def is_char_device(path, major, minor):
    info = os.stat(path)
    return stat.S_ISCHR(info.st_mode) and info.st_rdev == os.makedev(major, minor)
