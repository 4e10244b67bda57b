"""An ordinary user who runs containers: a uid of this machine that nobody else has, with ids from
/etc/subuid where a test wants them."""
import os

import harness as h
import isolation

UID, FIRST, COUNT = 61234, 600000, 65536
NAME = "coracle-tester"


def _private_file(c, path, text):
    """`path` with these lines behind its own, in the tests' mount namespace only."""
    copy = c.path(path.strip("/").replace("/", "-"))
    with open(path, encoding="utf-8") as old, open(copy, "w", encoding="utf-8") as new:
        new.write(old.read() + text)
    os.chmod(copy, 0o644)
    isolation.mount(copy, path, None, isolation.MS_BIND)
    c.undo.append(lambda: isolation.umount(path))


class User:
    """`rt` and the like as c has them, called by him."""

    def __init__(self, c, ids=False, known=True):
        self.c = c
        if known:
            _private_file(c, "/etc/passwd", "%s:x:%d:%d::/:/bin/sh\n" % (NAME, UID, UID))
        for path in ("/etc/subuid", "/etc/subgid") if ids else ():
            if not os.path.exists(path):
                h.skip("no %s on this machine (package uidmap or passwd)" % path)
            _private_file(c, path, "%s:%d:%d\n" % (NAME, FIRST, COUNT))
        self.root = c.path("user-state")
        os.mkdir(self.root, 0o700)
        os.chown(self.root, UID, UID)
        self.env = {key: value for key, value in os.environ.items()
                    if key not in ("XDG_RUNTIME_DIR", "USER", "NOTIFY_SOCKET")}

    def bundle(self, args, edit=None, rootless=True, **process):
        def change(config):
            if rootless:
                adapt(config)
            else:
                del config["linux"]["cgroupsPath"]
            if edit:
                edit(config)
        box = self.c.bundle(args, change, **process)
        self.c.ids.remove(box.id)  # it is not in c's root
        for folder, _, files in os.walk(box.path):
            os.chown(folder, UID, UID)
        os.chown(box.path + "/config.json", UID, UID)
        return box

    def command(self, *argv, **more):
        return self.c.command(["setpriv", "--reuid", str(UID), "--regid", str(UID),
                               "--clear-groups", *map(str, argv)], env=self.env, **more)

    def rt(self, *args, options=(), **more):
        return self.command(*h.runtime(), "--root", self.root, *options, *args, **more)

    def run(self, box, *options, **more):
        done = self.rt("run", "--bundle", box.path, *options, box.id, **more)
        h.eq([], [name for name in os.listdir(self.root) if name[0] != "."], "left in his root")
        return done


def adapt(config):
    """What `spec --rootless` writes: a user namespace with him as root, no network namespace."""
    linux = config["linux"]
    linux["namespaces"] = [{"type": t} for t in ("pid", "ipc", "uts", "mount", "cgroup", "user")]
    linux["uidMappings"] = [{"containerID": 0, "hostID": UID, "size": 1}]
    linux["gidMappings"] = [{"containerID": 0, "hostID": UID, "size": 1}]
    del linux["resources"], linux["cgroupsPath"]
    for mount in config["mounts"]:
        mount["options"] = [o for o in mount["options"] if not o.startswith("gid=")]


def more_ids(config):
    """The user as root, and the ids granted to him above."""
    for key in ("uidMappings", "gidMappings"):
        config["linux"][key].append({"containerID": 1, "hostID": FIRST, "size": COUNT})
