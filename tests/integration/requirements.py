"""What a test needs of the machine, by name; each function returns None or why it is missing."""
import os
import shutil
import subprocess


def _controller(name):
    with open("/sys/fs/cgroup/cgroup.controllers", encoding="ascii") as file:
        if name in file.read().split():
            return None
    return "no cgroup v2 controller " + name


def _capability(number, name):
    with open("/proc/self/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("CapBnd:") and int(line.split()[1], 16) >> number & 1:
                return None
    return "no " + name + " on this machine"


def _tool(name):
    return None if shutil.which(name) else name + " is not installed"


def _namespace(kind):
    return None if os.path.exists("/proc/self/ns/" + kind) else "no %s namespaces" % kind


def _time():
    return _namespace("time")


def _id_mapped_mounts():
    done = subprocess.run(["stat", "-f", "-c", "%T", "/tmp"], capture_output=True, text=True,
                          check=False)
    kind = done.stdout.strip()
    return None if kind in ("ext2/ext3", "xfs", "btrfs", "tmpfs", "overlayfs") else \
        "/tmp is on %s: no id-mapped mounts" % kind


def _veth():
    """A pair of network devices, made in the test's own network namespace."""
    name = "probe%d" % (os.getpid() % 100000)
    done = subprocess.run(["ip", "link", "add", name, "type", "veth"], capture_output=True,
                          check=False) if shutil.which("ip") else None
    if done is None or done.returncode:
        return "cannot make a pair of network devices here (ip(8), kernel module veth)"
    subprocess.run(["ip", "link", "del", name], check=False)
    return None


def _criu():
    if not shutil.which("criu"):
        return "criu is not installed"
    done = subprocess.run(["criu", "check"], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    errors = [line for line in done.stderr.splitlines() if "Error" in line]
    return "criu cannot work on this kernel: " + (errors[-1] if errors else "criu check fails")


def _overlayfs():
    with open("/proc/filesystems", encoding="ascii") as file:
        return None if "\toverlay\n" in file.read() else "this kernel has no overlayfs loaded"


CHECKS = {
    "criu": _criu,
    "memory": lambda: _controller("memory"),
    "pids": lambda: _controller("pids"),
    "cpu": lambda: _controller("cpu"),
    "cpuset": lambda: _controller("cpuset"),
    "io": lambda: _controller("io"),
    "hugetlb": lambda: _controller("hugetlb"),
    "sys_resource": lambda: _capability(24, "CAP_SYS_RESOURCE"),
    "runc": lambda: _tool("runc"),
    "strace": lambda: _tool("strace"),
    "newuidmap": lambda: _tool("newuidmap") or _tool("newgidmap"),
    "time_namespace": _time,
    "veth": _veth,
    "idmap": _id_mapped_mounts,
    "overlayfs": _overlayfs,
}


def unmet(needs):
    """The first reason among `needs`, or None."""
    for name in needs:
        reason = CHECKS[name]()
        if reason:
            return reason
    return None
