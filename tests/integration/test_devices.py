#!/usr/bin/env python3
"""Device nodes, /dev, and what the cgroup lets through."""
import os
import stat

import harness as h
from bundle import MANY_CAPS, cap_sets, user_namespace

DEFAULT = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9),
           "tty": (5, 0)}


# No driver has this number here: what the cgroup lets through fails with ENXIO, not EPERM.


def capable(config):
    config["process"]["capabilities"] = cap_sets(MANY_CAPS)


def with_devices(*devices, rules=()):
    def edit(config):
        capable(config)
        config["linux"]["devices"] = list(devices)
        config["linux"]["resources"]["devices"] += list(rules)
    return edit


@h.test("the default devices exist, for everybody")
def _(c):
    out = c.check_output(["sh", "-c", "cd /dev; stat -c '%n %F %t %T %a %u %g' " +
                          " ".join(DEFAULT)])
    for line in out.splitlines():
        name = line.split()[0]
        want = "%s character special file %x %x 666 0 0" % (name, *DEFAULT[name])
        h.eq(want, line)
    h.eq(len(DEFAULT), len(out.splitlines()))


@h.test("the links of /dev")
def _(c):
    for name, target in (("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"),
                         ("stdout", "/proc/self/fd/1"), ("stderr", "/proc/self/fd/2"),
                         ("ptmx", "pts/ptmx")):
        h.eq(target + "\n", c.check_output(["readlink", "/dev/" + name]))


@h.test("the default devices work")
def _(c):
    out = c.check_output(["sh", "-c", "echo x > /dev/null && head -c 3 /dev/zero | wc -c; "
                          "head -c 5 /dev/urandom | wc -c; head -c 1 /dev/random | wc -c; "
                          "echo x > /dev/full || echo full"])
    h.eq("3\n5\n1\nfull\n", out)


@h.test("devices of the config: type, number, mode, owner, in any folder")
def _(c):
    devices = [{"type": "c", "path": "/dev/mine", "major": 1, "minor": 3, "fileMode": 0o640,
                "uid": 1000, "gid": 2000},
               {"type": "b", "path": "/dev/sub/block", "major": 7, "minor": 200, "fileMode": 0o604},
               {"type": "p", "path": "/var/pipe", "fileMode": 0o622},
               {"type": "u", "path": "/dev/unbuffered", "major": 1, "minor": 5}]
    box = c.bundle(["stat", "-c", "%F %t %T %a %u %g", "/dev/mine", "/dev/sub/block", "/var/pipe",
                    "/dev/unbuffered"], with_devices(*devices))
    lines = c.run(box).ok().out.splitlines()
    h.eq("character special file 1 3 640 1000 2000", lines[0])
    h.eq("block special file 7 c8 604 0 0", lines[1])
    h.match("^fifo 0 0 622 0 0", lines[2])
    h.match("^character special file 1 5 ", lines[3])


@h.test("a device path that is another kind of file fails")
def _(c):
    h.only_ours("others keep the file")
    box = c.bundle(["true"], with_devices(
        {"type": "c", "path": "/etc/passwd", "major": 1, "minor": 3}))
    c.run(box).fails()
    h.true(stat.S_ISREG(os.stat(box.file("etc/passwd")).st_mode), "the file was replaced")


@h.test("the umask of the caller does not touch device modes")
def _(c):
    box = c.bundle(["stat", "-c", "%a", "/dev/mine"], with_devices(
        {"type": "c", "path": "/dev/mine", "major": 1, "minor": 3, "fileMode": 0o666}))
    old = os.umask(0o077)
    try:
        h.eq("666\n", c.run(box).ok().out)
    finally:
        os.umask(old)


@h.test("deny all: a device that is not listed can be made but not opened")
def _(c):
    box = c.bundle(["sh", "-c", "mknod /dev/k c 240 11 && probe open /dev/k r; "
                    "probe open /dev/null rw"], capable)
    h.eq("EPERM\nok\n", c.run(box).ok().out)


@h.test("an allow rule opens exactly what it names")
def _(c):
    rule = {"allow": True, "type": "c", "major": 240, "minor": 11, "access": "r"}
    box = c.bundle(["sh", "-c", "mknod /dev/k c 240 11; mknod /dev/m c 240 12; probe open /dev/k r; "
                    "probe open /dev/k rw; probe open /dev/m r"], with_devices(rules=[rule]))
    h.eq("ENXIO\nEPERM\nEPERM\n", c.run(box).ok().out)


@h.test("a later deny wins over an earlier allow")
def _(c):
    rules = [{"allow": True, "type": "c", "major": 240, "minor": 11, "access": "rwm"},
             {"allow": False, "type": "c", "major": 240, "minor": 11, "access": "rw"}]
    box = c.bundle(["sh", "-c", "mknod /dev/k c 240 11; probe open /dev/k r"],
                   with_devices(rules=rules))
    h.eq("EPERM\n", c.run(box).ok().out)


@h.test("no device rules at all: everything is refused but the default devices")
def _(c):
    def edit(config):
        capable(config)
        del config["linux"]["resources"]
    box = c.bundle(["sh", "-c", "mknod /dev/k c 240 11; probe open /dev/k r; "
                    "probe open /dev/zero r"], edit)
    out = c.run(box).ok().out
    h.match("ok$", out)
    if h.is_ours():
        h.eq("EPERM\nok\n", out)


@h.test("exec is bound by the same device rules")
def _(c):
    box = c.up(c.sleeper(edit=capable))
    c.exec(box, "mknod", "/dev/k", "c", "240", "11").ok()
    h.eq("EPERM\n", c.exec(box, "probe", "open", "/dev/k", "r").ok().out)


def host_node(c, name, *, mode=0o600, number=(1, 7)):
    """Makes a node in the host's /dev, which the end of the test removes; returns its status."""
    path = "/dev/" + name
    os.mknod(path, mode | stat.S_IFCHR, os.makedev(*number))
    c.undo.append(lambda: os.unlink(path))
    os.chmod(path, mode)
    return os.stat(path)


@h.test("in a user namespace: the default devices are there, root's, nosuid and noexec")
def _(c):
    names = " ".join("/dev/" + name for name in DEFAULT)
    box = c.bundle(["sh", "-c", "stat -c '%n %F %t %T %a %u %g' " + names + "; echo x > /dev/null && "
                    "echo wrote; cat /proc/self/mountinfo"], user_namespace).give(100000)
    lines = c.run(box).ok().out.splitlines()
    for line in lines[:len(DEFAULT)]:
        name = line.split()[0]
        want = "%s character special file %x %x 666 0 0" % (name, *DEFAULT[name[5:]])
        h.eq(want, line)
    h.eq("wrote", lines[len(DEFAULT)])
    mounts = [line.split() for line in lines[len(DEFAULT) + 1:]]
    for name in DEFAULT:
        options = [m[5] for m in mounts if m[4] == "/dev/" + name]
        h.eq(1, len(options), name)
        for option in ("nosuid", "noexec"):
            h.has(option, options[0], name)


@h.test("in a user namespace: a device that the host has no node of, with owner and mode")
def _(c):
    h.only_ours("runc takes the host's node or none")
    devices = [{"type": "c", "path": "/dev/mine", "major": 1, "minor": 3, "fileMode": 0o640,
                "uid": 1000, "gid": 2000},
               {"type": "b", "path": "/dev/sub/block", "major": 7, "minor": 200, "fileMode": 0o604},
               {"type": "p", "path": "/dev/pipe", "fileMode": 0o622, "uid": 5}]

    def edit(config):
        with_devices(*devices)(config)
        user_namespace(config)
    box = c.bundle(["sh", "-c", "stat -c '%F %t %T %a %u %g' /dev/mine /dev/sub/block /dev/pipe; "
                    "echo x > /dev/mine && echo wrote"], edit).give(100000)
    lines = c.run(box).ok().out.splitlines()
    h.eq("character special file 1 3 640 1000 2000", lines[0])
    h.eq("block special file 7 c8 604 0 0", lines[1])
    h.match("^fifo 0 0 622 5 0", lines[2])
    h.eq("wrote", lines[3])


@h.test("in a user namespace: a device of the host's name has the owner of the config, not its")
def _(c):
    h.only_ours("others bind the host's node")
    before = host_node(c, "coracle-test-%d" % os.getpid())
    path = "/dev/coracle-test-%d" % os.getpid()

    def edit(config):
        with_devices({"type": "c", "path": path, "major": 1, "minor": 7, "fileMode": 0o660,
                      "uid": 7, "gid": 8})(config)
        user_namespace(config)
    box = c.bundle(["sh", "-c", "stat -c '%%a %%u %%g' %s; chmod 600 %s" % (path, path)],
                   edit).give(100000)
    h.eq("660 7 8\n", c.run(box).ok().out)
    h.eq(before, os.stat(path), "the host's node")


@h.test("in a user namespace: an owner of a device that is not mapped is refused by name")
def _(c):
    def edit(config):
        with_devices({"type": "c", "path": "/dev/mine", "major": 1, "minor": 3, "gid": 70000})(config)
        user_namespace(config)
    h.only_ours("others ignore it")
    box = c.bundle(["true"], edit).give(100000)
    c.run(box).fails(r"linux\.devices\[0\]\.gid: 70000 is not mapped by linux\.gidMappings")


@h.test("in a user namespace: a hook before the pivot finds the rootfs, and nothing over it")
def _(c):
    seen = c.path("mounts")
    with open(seen, "w", encoding="ascii"):
        os.chmod(seen, 0o666)  # the hook has the ids of the container's root

    def edit(config):
        user_namespace(config)
        config["hooks"] = {"createContainer": [{
            "path": "/bin/sh", "args": ["sh", "-c", "cat /proc/self/mountinfo > " + seen]}]}
    box = c.bundle(["true"], edit).give(100000)
    c.run(box).ok()
    with open(seen, encoding="utf-8") as file:
        targets = [line.split()[4] for line in file]
    h.eq(1, targets.count(box.rootfs), " ".join(targets))
    h.eq(1, targets.count(box.file("dev/null")))


@h.test("/dev/null of the host keeps owner and mode when the container has another user")
def _(c):
    before = os.stat("/dev/null")
    box = c.bundle(["true"], user={"uid": 1000, "gid": 1000})
    c.run(box).ok()
    box = c.up(c.sleeper())
    c.exec(box, "true", options=["-u", "1000:1000"]).ok()
    after = os.stat("/dev/null")
    h.eq((before.st_uid, before.st_gid, before.st_mode), (after.st_uid, after.st_gid,
                                                          after.st_mode))


@h.test("a /dev that is bound from the host is left alone")
def _(c):
    os.makedirs(c.path("dev"))
    os.mknod(c.path("dev", "null"), 0o666 | stat.S_IFCHR, os.makedev(1, 3))

    def edit(config):
        config["mounts"] = [m for m in config["mounts"] if not m["destination"].startswith("/dev")]
        config["mounts"].append({"destination": "/dev", "type": "bind", "source": c.path("dev"),
                                 "options": ["bind"]})
    c.run(c.bundle(["true"], edit)).ok()
    h.true(not os.path.exists(c.path("dev", "zero")), "devices were made in the host's folder")


if __name__ == "__main__":
    h.main()
