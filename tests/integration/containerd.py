"""A containerd of the tests' own, with the shim that was built: everything of it in a scratch folder
and on private mounts, /run/containerd included (containerd 1.6 has that path compiled in)."""
import gzip
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import tarfile

import harness as h
import isolation
import rootfs

IMAGE = "localhost/box:latest"  # CRI takes what has no host for one of a registry's
TYPE = "io.containerd.coracle.v2"
OFF = ["grpc.v1.cri", "snapshotter.v1.aufs", "snapshotter.v1.btrfs", "snapshotter.v1.devmapper",
       "snapshotter.v1.zfs", "internal.v1.opt"]


def make_image(folder, target):
    """An OCI layout as a tar, of the tests' root filesystem."""
    blobs = {}

    def blob(data, kind):
        digest = hashlib.sha256(data).hexdigest()
        blobs[digest] = data
        return {"mediaType": "application/vnd.oci.image." + kind, "digest": "sha256:" + digest,
                "size": len(data)}
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        tar.add(folder, ".")
    raw = layer.getvalue()
    config = blob(json.dumps({
        "architecture": "amd64", "os": "linux", "config": {"Env": ["PATH=/bin"], "Cmd": ["sleep", "1000000"]},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(raw).hexdigest()]},
    }).encode(), "config.v1+json")
    manifest = blob(json.dumps({"schemaVersion": 2, "config": config, "layers": [
        blob(gzip.compress(raw, 1), "layer.v1.tar+gzip")]}).encode(), "manifest.v1+json")
    manifest["annotations"] = {"io.containerd.image.name": IMAGE}
    files = {"blobs/sha256/" + digest: data for digest, data in blobs.items()}
    files["oci-layout"] = b'{"imageLayoutVersion":"1.0.0"}'
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [manifest]}).encode()
    with tarfile.open(target, "w") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))


# For kubelets. Machines where tests run have neither all controllers nor CAP_SYS_RESOURCE.
CRI = """
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "%(image)s"
  disable_cgroup = true
  disable_apparmor = true
  restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".containerd]
  default_runtime_name = "coracle"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.coracle]
  runtime_type = "%(type)s"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.coracle.options]
  TypeUrl = "runtimeoptions.v1.Options"
  ConfigPath = "%(options)s"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.type-is-path]
  runtime_type = "%(shim)s"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.by-path]
  runtime_type = "io.containerd.runc.v2"
  runtime_path = "%(shim)s"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.by-path.options]
  Root = "/run/containerd/coracle-cri"
"""


class Containerd:
    """with containerd.Containerd(c) as d: d.ctr("run", ...)

    `cri`: with the plugin that serves kubelets; images are in their namespace then."""

    def __init__(self, c, cri=False):
        for tool in ("containerd", "ctr"):
            if not shutil.which(tool):
                h.skip(tool + " is not installed")
        self.c, self.top, self.daemon = c, c.path("containerd"), None
        os.makedirs(self.top)
        os.makedirs("/run/containerd", exist_ok=True)
        for place in (self.top, "/run/containerd"):
            isolation.mount("none", place, "tmpfs")
        os.makedirs(self.top + "/bin")
        os.symlink(os.path.abspath(h.runtime()[0]), self.top + "/bin/containerd-shim-coracle-v2")
        self.socket = "/run/containerd/c.sock"
        self.env = dict(os.environ, PATH=self.top + "/bin:" + os.environ["PATH"],
                        CONTAINERD_ADDRESS=self.socket)
        if cri:
            self.env["CONTAINERD_NAMESPACE"] = "k8s.io"
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        with open(self.top + "/config.toml", "w", encoding="ascii") as file:
            file.write('version = 2\nroot = "%s/root"\nstate = "/run/containerd/state"\n'
                       'disabled_plugins = %s\n[grpc]\n  address = "%s"\n' % (
                           self.top, json.dumps(["io.containerd." + p for p in OFF[cri:]]),
                           self.socket))
            if cri:
                file.write(CRI % {"image": IMAGE, "type": TYPE, "options": self.top + "/options",
                                  "shim": self.top + "/bin/containerd-shim-coracle-v2"})
        with open(self.top + "/options", "w", encoding="ascii") as file:
            file.write('Root = "/run/containerd/coracle-cri"\n')
        self.start()
        box = c.path("image")
        rootfs.make(box)
        make_image(box, self.top + "/image.tar")
        self.ctr("images", "import", self.top + "/image.tar").ok()

    def start(self):
        with open(self.top + "/log", "ab") as log:
            self.daemon = subprocess.Popen(["containerd", "-c", self.top + "/config.toml"],
                                           stdout=log, stderr=log, env=self.env)
        h.until(lambda: self.ctr("version").status == 0, "containerd to answer", 30)

    def version(self):
        """(1, 6, 20)"""
        words = subprocess.run(["containerd", "--version"], capture_output=True, text=True,
                               check=True).stdout
        return tuple(map(int, h.match(r" v?(\d+)\.(\d+)\.(\d+)", words).groups()))

    def crash(self):
        self.daemon.kill()
        self.daemon.wait()

    def ctr(self, *args, timeout=60, **keywords):
        return self.c.command(["ctr", *map(str, args)], timeout=timeout, env=self.env, **keywords)

    def run(self, name, *args, options=("--rm",), **keywords):
        """cpu.shares would need a controller that the machine may not have."""
        return self.ctr("run", "--runtime", TYPE, "--cpu-shares", 0, *options, IMAGE, name, *args,
                        **keywords)

    def background(self, *args):
        child = subprocess.Popen(["ctr", *map(str, args)], env=self.env, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.c.children.append(child)
        return child

    def tasks(self):
        """{id: status}"""
        lines = self.ctr("tasks", "ls").ok().out.splitlines()[1:]
        return {line.split()[0]: line.split()[2] for line in lines}

    def shims(self):
        """Pids of the shims that run."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/cmdline" % pid, "rb") as file:
                    if file.read().startswith(self.top.encode() + b"/bin/containerd-shim"):
                        found.append(int(pid))
            except OSError:
                continue
        return found

    def log(self):
        with open(self.top + "/log", encoding="utf-8", errors="replace") as file:
            return file.read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.crash()
        for pid in self.shims():
            os.kill(pid, signal.SIGKILL)
        for folder in os.scandir(isolation.CGROUP):
            if folder.is_dir(follow_symlinks=False) and folder.name in ("default", "k8s.io"):
                isolation._remove_tree(folder.path)
        # Newest first: rootfs mounts of tasks that were left lie below.
        for _, place in sorted(isolation._mounts().items(), key=lambda m: int(m[0]), reverse=True):
            if place.startswith(("/run/containerd", self.top)):
                isolation.umount(place)
