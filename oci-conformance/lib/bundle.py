"""A bundle: config.json and a root file system of one static busybox."""
import copy
import json
import os
import shutil
import struct
import subprocess

FOLDERS = "bin dev proc sys etc tmp run root mnt".split()
DEFAULT_CAPS = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]


def caps(*names):
    return {kind: list(names) for kind in ("bounding", "effective", "permitted")}


def mount(destination, kind, source, *options):
    return {"destination": destination, "type": kind, "source": source, "options": list(options)}


def bind(source, destination, *options):
    return mount(destination, "none", source, *(options if "rbind" in options
                                                else ("bind",) + options))


BASE = {
    "ociVersion": "1.0.2",
    "process": {
        "user": {"uid": 0, "gid": 0}, "cwd": "/",
        "env": ["PATH=/usr/bin:/bin", "TERM=xterm"], "capabilities": caps(*DEFAULT_CAPS)},
    "root": {"path": "rootfs"},
    "mounts": [
        mount("/proc", "proc", "proc"),
        mount("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
        mount("/dev/pts", "devpts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666",
              "mode=0620"),
        mount("/dev/shm", "tmpfs", "shm", "nosuid", "noexec", "nodev", "mode=1777", "size=65536k"),
        mount("/sys", "sysfs", "sysfs", "nosuid", "noexec", "nodev", "ro")],
    "linux": {
        "resources": {"devices": [{"allow": False, "access": "rwm"}]},
        "namespaces": [{"type": t} for t in ("pid", "network", "ipc", "uts", "mount", "cgroup")]},
}
_template = None


def _is_static(path):
    """An ELF file of 64 bits without PT_INTERP."""
    with open(path, "rb") as file:
        head = file.read(64)
        if head[:5] != b"\x7fELF\x02":
            return False
        start, size, count = (struct.unpack_from("<Q", head, 32)[0],
                              *struct.unpack_from("<HH", head, 54))
        file.seek(start)
        headers = file.read(size * count)
    return all(struct.unpack_from("<I", headers, i * size)[0] != 3 for i in range(count))


def busybox():
    """The path of a static busybox, or None."""
    path = shutil.which("busybox")
    return path if path and _is_static(path) else None


def _fill(top):
    for name in FOLDERS:
        os.makedirs(os.path.join(top, name), 0o755)
    os.chmod(os.path.join(top, "tmp"), 0o1777)
    target = os.path.join(top, "bin", "busybox")
    shutil.copyfile(busybox(), target)
    os.chmod(target, 0o755)
    names = subprocess.run([target, "--list"], capture_output=True, text=True, check=True).stdout
    for name in names.split():
        if name != "busybox":
            os.symlink("busybox", os.path.join(top, "bin", name))


def rootfs(path):
    global _template
    if _template is None:
        _template = os.path.join(os.environ["TMPDIR"], "template")
        _fill(_template)
    for name in FOLDERS:
        os.makedirs(os.path.join(path, name), 0o755)
    os.chmod(os.path.join(path, "tmp"), 0o1777)
    for entry in os.scandir(os.path.join(_template, "bin")):
        os.link(entry.path, os.path.join(path, "bin", entry.name), follow_symlinks=False)


class Bundle:
    """A folder with config.json and rootfs. `log` gets the container's stdout and stderr."""

    def __init__(self, path, name, args):
        self.path, self.id = path, name
        self.rootfs, self.log = os.path.join(path, "rootfs"), os.path.join(path, "log")
        self.config = copy.deepcopy(BASE)
        self.config["process"]["args"] = list(args)
        self.config["linux"]["cgroupsPath"] = "/" + name
        self.pid = None
        os.makedirs(path, 0o755)
        rootfs(self.rootfs)

    def write(self):
        with open(os.path.join(self.path, "config.json"), "w", encoding="utf-8") as file:
            json.dump(self.config, file, indent=1)
        return self

    def file(self, *parts):
        return os.path.join(self.rootfs, *parts)

    def put(self, name, text, mode=0o644):
        path = self.file(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    def give(self, uid):
        """Hands the root file system's folders to a host id, for a user namespace."""
        for folder, _, _ in os.walk(self.rootfs):
            os.chown(folder, uid, uid)
        return self

    def output(self):
        if not os.path.exists(self.log):
            return ""
        with open(self.log, "rb") as file:
            return file.read().decode(errors="replace")

    def namespaces(self):
        return self.config["linux"]["namespaces"]

    def set_namespace(self, kind, path=None):
        """A new one of this kind, or the one at `path`."""
        self.drop_namespace(kind)
        self.namespaces().append({"type": kind, **({"path": path} if path else {})})

    def drop_namespace(self, kind):
        self.namespaces()[:] = [n for n in self.namespaces() if n["type"] != kind]

    def user_namespace(self, host=100000, size=65536):
        self.set_namespace("user")
        for key in ("uidMappings", "gidMappings"):
            self.config["linux"][key] = [{"containerID": 0, "hostID": host, "size": size}]
        return self.give(host)
