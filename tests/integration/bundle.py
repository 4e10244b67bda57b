"""config.json as the tests use it: what `spec` writes, without a terminal, with a cgroup."""
import copy
import json
import os

CAPS = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
# Everything a test inside the container may want that this machine can give.
MANY_CAPS = CAPS + ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_MKNOD",
                    "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_SYS_CHROOT", "CAP_SYS_ADMIN",
                    "CAP_SYS_PTRACE", "CAP_NET_ADMIN", "CAP_NET_RAW"]


def cap_sets(names):
    return {kind: list(names) for kind in ("bounding", "effective", "permitted")}


def mount(destination, kind, source, *options):
    return {"destination": destination, "type": kind, "source": source, "options": list(options)}


def bind(source, destination, *options):
    return mount(destination, "bind", source, "rbind" if "rbind" in options else "bind",
                 *[o for o in options if o != "rbind"])


BASE = {
    "ociVersion": "1.0.2",
    "process": {
        "terminal": False, "user": {"uid": 0, "gid": 0},
        "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
        "cwd": "/", "capabilities": cap_sets(CAPS),
        "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
        "noNewPrivileges": True},
    "root": {"path": "rootfs", "readonly": False},
    "hostname": "coracle",
    "mounts": [
        mount("/proc", "proc", "proc"),
        mount("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
        mount("/dev/pts", "devpts", "devpts", "nosuid", "noexec", "newinstance",
              "ptmxmode=0666", "mode=0620", "gid=5"),
        mount("/dev/shm", "tmpfs", "shm", "nosuid", "noexec", "nodev", "mode=1777",
              "size=65536k"),
        mount("/dev/mqueue", "mqueue", "mqueue", "nosuid", "noexec", "nodev"),
        mount("/sys", "sysfs", "sysfs", "nosuid", "noexec", "nodev", "ro"),
        mount("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec", "nodev", "relatime",
              "ro")],
    "linux": {
        "resources": {"devices": [{"allow": False, "access": "rwm"}]},
        "namespaces": [{"type": t} for t in ("pid", "network", "ipc", "uts", "mount", "cgroup")],
        "maskedPaths": ["/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys",
                        "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
                        "/proc/sched_debug", "/sys/firmware", "/proc/scsi"],
        "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                          "/proc/sysrq-trigger"]},
}


class Bundle:
    """A folder with config.json and rootfs. `log` is set by Case.create."""

    def __init__(self, path, name, args):
        self.path, self.id, self.log = path, name, None
        self.rootfs = os.path.join(path, "rootfs")
        self.config = copy.deepcopy(BASE)
        self.config["process"]["args"] = args
        self.config["linux"]["cgroupsPath"] = "/" + name
        os.makedirs(path, 0o755)

    def write(self):
        """Writes config.json again after a change of `config`."""
        with open(os.path.join(self.path, "config.json"), "w", encoding="utf-8") as file:
            json.dump(self.config, file, indent=1)

    def write_text(self, text):
        """Writes config.json as it is, for input that is not a proper one."""
        with open(os.path.join(self.path, "config.json"), "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())

    def give(self, uid):
        """Hands the rootfs's folders to a host id, as engines do for a user namespace (the
        programs are hard links shared by all tests and stay root's)."""
        for folder, _, _ in os.walk(self.rootfs):
            os.chown(folder, uid, uid)
        return self

    def file(self, *parts):
        return os.path.join(self.rootfs, *parts)

    def put(self, name, text, mode=0o644):
        """A file in the rootfs."""
        path = self.file(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)
        return path


def drop_namespace(config, kind):
    spaces = config["linux"]["namespaces"]
    config["linux"]["namespaces"] = [n for n in spaces if n["type"] != kind]


def namespace(config, kind, path=None):
    """Makes the namespace of this kind new, or the one at `path`."""
    drop_namespace(config, kind)
    entry = {"type": kind}
    if path:
        entry["path"] = path
    config["linux"]["namespaces"].append(entry)


def user_namespace(config, host=100000, size=65536):
    """A new user namespace that maps 0.. to host.. for `size` ids."""
    namespace(config, "user")
    for key in ("uidMappings", "gidMappings"):
        config["linux"][key] = [{"containerID": 0, "hostID": host, "size": size}]
