"""A bundle as a container engine would write it: 11 mounts, masks, groups, limits, device rules,
annotations, hundreds of seccomp names for three architectures; about 17 KB of config.json."""
import copy
import json
import os
import shutil

HERE = os.path.dirname(os.path.abspath(__file__))
CAPS = ["CAP_" + n for n in ("CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP "
                             "SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE").split()]
DEVICES = ((1, 3), (1, 8), (1, 7), (5, 0), (1, 5), (1, 9), (5, 1), (5, 2))
MASKED = ["/proc/" + n for n in ("acpi asound interrupts kcore keys latency_stats timer_list "
                                 "timer_stats sched_debug scsi").split()] + [
    "/sys/firmware", "/sys/devices/virtual/powercap"]
READONLY = ["/proc/" + n for n in "bus fs irq sys sysrq-trigger".split()]


def seccomp():
    with open(os.path.join(HERE, "seccomp.json"), encoding="ascii") as file:
        data = json.load(file)
    rules = [{"names": data["allow"], "action": "SCMP_ACT_ALLOW"}] + data["rules"]
    return {"defaultAction": data["default"], "defaultErrnoRet": 1,
            "architectures": data["architectures"], "syscalls": rules}


def mounts(folder):
    def one(destination, kind, source, *options):
        return {"destination": destination, "type": kind, "source": source,
                "options": list(options)}
    quiet = ("nosuid", "noexec", "nodev")
    return [one("/proc", "proc", "proc", *quiet),
            one("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
            one("/dev/pts", "devpts", "devpts", "nosuid", "noexec", "newinstance",
                "ptmxmode=0666", "mode=0620", "gid=5"),
            one("/sys", "sysfs", "sysfs", *quiet, "ro"),
            one("/sys/fs/cgroup", "cgroup", "cgroup", *quiet, "relatime", "ro"),
            one("/dev/mqueue", "mqueue", "mqueue", *quiet),
            one("/dev/shm", "tmpfs", "shm", *quiet, "mode=1777", "size=65536k"),
            one("/run", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k")] + [
                one("/etc/" + n, "bind", os.path.join(folder, n), "rbind", "rprivate", "ro")
                for n in ("resolv.conf", "hostname", "hosts")]


def device_rules():
    return [{"allow": False, "access": "rwm"}] + [
        {"allow": True, "type": "c", "major": a, "minor": b, "access": "rwm"}
        for a, b in DEVICES] + [{"allow": True, "type": "c", "major": 136, "access": "rwm"},
                                {"allow": True, "type": "c", "access": "m"},
                                {"allow": True, "type": "b", "access": "m"}]


def config(folder, name, args):
    return {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0,
                     "additionalGids": [0, 1, 2, 3, 4, 6, 10, 11, 20, 26, 27]},
            "args": args, "cwd": "/", "noNewPrivileges": True, "oomScoreAdj": 0,
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                    "HOSTNAME=c0ffee", "HOME=/root", "TERM=xterm"] + [
                        "VAR_%d=value-of-%d" % (i, i) for i in range(12)],
            "capabilities": {k: CAPS for k in ("bounding", "effective", "permitted")},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 4096, "soft": 1024},
                        {"type": "RLIMIT_NPROC", "hard": 4096, "soft": 4096}]},
        "root": {"path": "rootfs", "readonly": False}, "hostname": "c0ffee",
        "mounts": mounts(folder),
        "annotations": {"io.kubernetes.cri.container-type": "container",
                        "io.kubernetes.cri.sandbox-id": "0123456789abcdef" * 4,
                        "org.opencontainers.image.base.name": "busybox"},
        "linux": {
            "cgroupsPath": "/" + name, "resources": {"devices": device_rules()},
            "namespaces": [{"type": t} for t in ("pid", "ipc", "uts", "mount", "network",
                                                 "cgroup")],
            "seccomp": seccomp(), "maskedPaths": MASKED, "readonlyPaths": READONLY}}


def plain(docker_like):
    """The same without what only engines ask for: no seccomp, masks, groups, annotations."""
    small = copy.deepcopy(docker_like)
    for key in ("seccomp", "maskedPaths", "readonlyPaths"):
        del small["linux"][key]
    del small["annotations"], small["process"]["user"]["additionalGids"]
    return small


def make(folder, name, args, change=lambda c: c, programs=()):
    """Writes folder/config.json and folder/rootfs with busybox and `programs` (paths) in /bin."""
    root = os.path.join(folder, "rootfs")
    for part in "bin dev proc sys etc tmp run var root".split():
        os.makedirs(os.path.join(root, part))
    busybox = shutil.which("busybox") or "/bin/busybox"
    shutil.copy(busybox, os.path.join(root, "bin/busybox"))
    for applet in "sh true sleep cat ls mount echo".split():
        os.symlink("busybox", os.path.join(root, "bin", applet))
    for program in programs:
        shutil.copy(program, os.path.join(root, "bin", os.path.basename(program)))
    for part in ("hosts", "hostname", "resolv.conf"):
        for place in (root + "/etc", folder):
            with open(os.path.join(place, part), "w", encoding="ascii") as file:
                file.write("x\n")
    with open(os.path.join(folder, "config.json"), "w", encoding="ascii") as file:
        json.dump(change(config(folder, name, args)), file, indent="\t")
    return folder
