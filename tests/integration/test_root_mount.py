#!/usr/bin/env python3
"""A mount at "/": the container starts in it."""
import os

import harness as h
import isolation
import rootfs
from bundle import bind, mount, namespace, user_namespace


def new_root(c, name="new"):
    """Another root file system beside the bundle's; the file /which tells them apart."""
    path = c.path(name)
    rootfs.make(path)
    with open(os.path.join(path, "which"), "w", encoding="ascii") as file:
        file.write(name + "\n")
    return path


def at_root(path, *options, place=0):
    def edit(config):
        config["mounts"].insert(place, bind(path, "/", "rbind", *options))
    return edit


def mounts_of(text):
    """{mount point: (options, propagation)} of a mountinfo; the last on a place counts."""
    found = {}
    for line in text.splitlines():
        words = line.split()
        found[words[4]] = (words[5].split(","), words[6:words.index("-")])
    return found


@h.test("a bind at / is the root: for the program, for what it writes, and for exec")
def _(c):
    path = new_root(c)
    box = c.sleeper(at_root(path))
    box.put("which", "old\n")
    c.up(box)
    h.eq("new\n", c.exec(box, "cat", "/which").ok().out)
    c.exec(box, "touch", "/made").ok()
    h.true(os.path.exists(os.path.join(path, "made")), "not written to the new root")
    h.true(not os.path.exists(box.file("made")), "written to the old root")
    info = mounts_of(c.exec(box, "cat", "/proc/self/mountinfo").ok().out)
    h.true("/proc" in info and "/dev/pts" in info, "mounts after it are not in it: %r" % info)


@h.test("order: what was mounted before a mount at / is hidden, what comes after is in it")
def _(c):
    path = new_root(c)
    os.makedirs(c.path("early")), os.makedirs(c.path("late"))

    def edit(config):
        config["mounts"] = ([bind(c.path("early"), "/early")] + [bind(path, "/", "rbind")] +
                            config["mounts"] + [bind(c.path("late"), "/late")])
    out = c.check_output(["sh", "-c", "ls -d /early /late; cat /proc/self/mountinfo"], edit)
    h.eq("/late", out.splitlines()[0])
    h.lacks(" /early ", out)
    h.true(not os.path.exists(os.path.join(path, "early")), "mounted into the new root")


@h.test("rbind at / brings what is mounted below, bind does not")
def _(c):
    path = new_root(c)
    os.makedirs(path + "/more")
    isolation.mount("tmpfs", path + "/more", "tmpfs", 0)
    c.undo.append(lambda: isolation.umount(path + "/more"))
    with open(path + "/more/file", "w", encoding="ascii"):
        pass
    h.eq("file\n", c.check_output(["ls", "/more"], at_root(path)))

    def single(config):
        config["mounts"].insert(0, bind(path, "/"))
    h.eq("", c.check_output(["ls", "/more"], single))


def tmpfs_root(config, host, *options):
    """A tmpfs at / that has nothing but what is bound into it."""
    dirs = [d for d in ("bin", "sbin", "usr", "lib", "lib64") if os.path.isdir(host + "/" + d)]
    config["mounts"] = ([mount("/", "tmpfs", "tmpfs", "mode=755", *options)] +
                        [bind(host + "/" + d, "/" + d) for d in dirs] + config["mounts"])


@h.test("a tmpfs at / is filled first, and read-only then")
def _(c):
    path = new_root(c)
    out = c.check_output(["sh", "-c", "touch /x || echo refused; touch /dev/shm/y && echo wrote; "
                          "cat /proc/self/mountinfo"], lambda config: tmpfs_root(config, path, "ro"))
    lines = out.splitlines()
    h.eq(["refused", "wrote"], lines[:2])
    h.has("ro", mounts_of("\n".join(lines[2:]))["/"][0])


@h.test("a read-only tmpfs that a mount at / hides is filled before it")
def _(c):
    path = new_root(c)

    def edit(config):
        config["mounts"] = ([mount("/data", "tmpfs", "tmpfs", "ro"), bind(path, "/data/a")] +
                            [bind(path, "/", "rbind")] + config["mounts"])
    h.eq("new\n", c.check_output(["cat", "/which"], edit))


@h.test("an overlay at /", needs=("overlayfs",))
def _(c):
    lower = new_root(c)
    over = c.path("over")
    os.makedirs(over)
    isolation.mount("tmpfs", over, "tmpfs", 0)
    c.undo.append(lambda: isolation.umount(over))
    os.makedirs(over + "/upper"), os.makedirs(over + "/work")

    def edit(config):
        config["mounts"].insert(0, mount("/", "overlay", "overlay", "lowerdir=" + lower, "upperdir=" +
                                         over + "/upper", "workdir=" + over + "/work"))
    h.eq("new\n", c.check_output(["sh", "-c", "cat /which; touch /made"], edit))
    h.true(os.path.exists(over + "/upper/made"), "not written to the upper layer")


@h.test("root.readonly makes the mount at / read-only, after the mount points are there")
def _(c):
    path = new_root(c)

    def edit(config):
        at_root(path)(config)
        config["root"]["readonly"] = True
        config["mounts"].append(mount("/fresh", "tmpfs", "tmpfs"))
    out = c.check_output(["sh", "-c", "touch /x || echo refused; touch /fresh/y && echo wrote"], edit)
    h.eq("refused\nwrote\n", out)


@h.test("masked and read-only paths are those of the mount at /")
def _(c):
    path = new_root(c)
    os.makedirs(path + "/secret"), os.makedirs(path + "/fixed")
    for name in ("secret/a", "hidden"):
        with open(os.path.join(path, name), "w", encoding="ascii") as file:
            file.write("x")

    def edit(config):
        at_root(path)(config)
        config["linux"]["maskedPaths"] += ["/secret", "/hidden"]
        config["linux"]["readonlyPaths"] += ["/fixed"]
    h.eq("refused\n", c.check_output(["sh", "-c", "ls /secret; cat /hidden; touch /fixed/a || "
                                      "echo refused"], edit))


@h.test("propagation of the mount at /: its own, or what rootfsPropagation asks for")
def _(c):
    path = new_root(c)

    def tags(*options, root=None):
        def edit(config):
            at_root(path, *options)(config)
            if root:
                config["linux"]["rootfsPropagation"] = root
        out = c.check_output(["cat", "/proc/self/mountinfo"], edit)
        return [tag.split(":")[0] for tag in mounts_of(out)["/"][1]]
    h.eq([], tags("rprivate"))
    h.eq(["shared"], tags("rshared"))
    h.eq(["shared"], tags("rprivate", root="shared"))
    h.eq(["unbindable"], tags(root="unbindable"))


@h.test("a mount at / does not reach the host, nor stays there")
def _(c):
    path = new_root(c)
    box = c.up(c.sleeper(at_root(path)))
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        h.lacks(box.rootfs, file.read())
    h.true(not os.path.exists(box.file("which")), "the old root shows the new one")


@h.test("a mount at / in a user namespace, with devices of its own")
def _(c):
    path = new_root(c)
    for folder, _, _ in os.walk(path):
        os.chown(folder, 100000, 100000)

    def edit(config):
        at_root(path)(config)
        user_namespace(config)
    box = c.bundle(["sh", "-c", "cat /which; stat -c '%t %T %u' /dev/null; touch /made; "
                    "stat -c %u /made"], edit).give(100000)
    h.eq("new\n1 3 0\n0\n", c.run(box).ok().out)


@h.test("a mount at / without pivot_root, and without a mount namespace")
def _(c):
    path = new_root(c)
    box = c.bundle(["cat", "/which"], at_root(path))
    h.eq("new\n", c.run(box, "--no-pivot").ok().out)
    h.only_ours("runc needs a mount namespace")

    def edit(config):
        config["linux"]["namespaces"] = [n for n in config["linux"]["namespaces"]
                                         if n["type"] != "mount"]
        del config["linux"]["maskedPaths"], config["linux"]["readonlyPaths"]
        at_root(path)(config)
    h.eq("new\n", c.check_output(["cat", "/which"], edit))


@h.test("a createContainer hook finds the mount at / as its working directory")
def _(c):
    h.only_ours("the working directory of hooks is not specified")
    path = new_root(c)
    seen = c.path("seen")

    def edit(config):
        at_root(path)(config)
        config["hooks"] = {"createContainer": [
            {"path": "/bin/sh", "args": ["sh", "-c", "cat which > " + seen]}]}
    c.run(c.bundle(["true"], edit)).ok()
    with open(seen, encoding="ascii") as file:
        h.eq("new\n", file.read())


@h.test("a change of / : remount and propagation in the list of mounts")
def _(c):
    def edit(config):
        config["mounts"].append({"destination": "/", "options": ["remount", "bind", "ro"]})
    h.eq("refused\n", c.check_output(["sh", "-c", "touch /x || echo refused"], edit))


@h.test("a file at / is refused in words, and leaves nothing")
def _(c):
    with open(c.path("file"), "w", encoding="ascii"):
        pass
    box = c.bundle(["true"], at_root(c.path("file")))
    c.run(box).fails("a file onto a directory|not a directory")


if __name__ == "__main__":
    h.main()
