#!/usr/bin/env python3
"""Options that fsconfig(2) has no room for: overlays of many layers and of long names."""
import os

import harness as h
import isolation
from bundle import mount, user_namespace

LONG = "x" * 200


def space(c, name="space"):
    """A tmpfs for the layers: /tmp may be an overlay itself, on which none can be made."""
    path = c.path(name)
    os.makedirs(path)
    isolation.mount("tmpfs", path, "tmpfs", 0)
    c.undo.append(lambda: isolation.umount(path))
    return path


def layer(*parts, **files):
    path = os.path.join(*parts)
    os.makedirs(path)
    for name, text in files.items():
        with open(os.path.join(path, name), "w", encoding="ascii") as file:
            file.write(text + "\n")
    return path


def overlay(*options, target="/over"):
    return lambda config: config["mounts"].append(mount(target, "overlay", "overlay", *options))


def escape(path):
    return path.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")


@h.test("an overlay of names of more than 255 bytes, all three", needs=("overlayfs",))
def _(c):
    top = space(c)
    lower = layer(top, LONG, LONG, "lower", file="lower")
    upper, work = layer(top, LONG, "u" + LONG, "upper"), layer(top, LONG, "u" + LONG, "work")
    out = c.check_output(["sh", "-c", "cat /over/file; echo up > /over/made"],
                         overlay("lowerdir=" + lower, "upperdir=" + upper, "workdir=" + work))
    h.eq("lower\n", out)
    h.true(os.path.exists(upper + "/made"), "the upper layer is another one")


@h.test("colons, commas and backslashes in names of layers, long and short", needs=("overlayfs",))
def _(c):
    top = space(c)
    # Options in one string are for mount(2), so the last round is its.
    for size, more in ((1, []), (200, []), (201, ["userxattr,index=off"])):
        name = "y" * size
        lowers = [layer(top, name + odd, f=str(number), **{"only%d" % number: "here"})
                  for number, odd in enumerate((":", ",", "\\", "a:b,c\\d,"))]
        upper, work = layer(top, name + "up:,\\"), layer(top, name + "work,:\\")
        out = c.check_output(
            ["sh", "-c", "cat /over/f; ls /over; echo up > /over/made"],
            overlay("lowerdir=" + ":".join(map(escape, lowers)), "upperdir=" + escape(upper),
                    "workdir=" + escape(work), *more))
        h.eq("0\nf\nonly0\nonly1\nonly2\nonly3\n", out)
        h.true(os.path.exists(upper + "/made"), "the upper layer is another one")


@h.test("128 layers, and a page of options in all", needs=("overlayfs",))
def _(c):
    top = space(c)
    for pad in (1, 100):  # below a page, and far beyond it
        names = [layer(top, "%d%s%d" % (pad, "z" * pad, i), **{"f%d" % i: "x"}) for i in range(128)]
        if pad == 1:
            short = os.path.join("/tmp", "o%d" % os.getpid())
            os.symlink(top, short)
            c.undo.append(lambda path=short: os.unlink(path))
            names = [name.replace(top, short) for name in names]
            h.true(255 < len(":".join(names)) < 4000, "not the size this is about")
        elif not h.is_ours():
            break
        out = c.check_output(["sh", "-c", "ls /over | wc -l"], overlay("lowerdir=" + ":".join(names)))
        h.eq("128\n", out)


@h.test("a long value of another file system than overlay")
def _(c):
    size = "size=" + "0" * 300 + "100000"  # octal, 32 KiB
    out = c.check_output(["sh", "-c", "stat -c %a /data; grep ' /data ' /proc/self/mountinfo"],
                         lambda config: config["mounts"].append(
                             mount("/data", "tmpfs", "tmpfs", size, "mode=700", "noexec", "nosuid")))
    h.eq("700", out.splitlines()[0])
    h.has("size=32k", out)
    h.has("noexec", out)
    h.has("nosuid", out)


@h.test("such a tmpfs takes the mode of the directory it covers, and leaves no trace")
def _(c):
    size = "size=" + "0" * 300 + "100000"
    box = c.bundle(["sh", "-c", "stat -c %a /data; cat /proc/self/mountinfo"],
                   lambda config: config["mounts"].append(mount("/data", "tmpfs", "tmpfs", size)))
    os.mkdir(box.file("data"), 0o711)
    out = c.run(box).ok().out.splitlines()
    h.eq("711", out[0])
    h.eq(1, len([line for line in out[1:] if line.split()[4] == "/"]), "mounts on /")


@h.test("long options in a user namespace", needs=("overlayfs",))
def _(c):
    top = space(c)
    lower = layer(top, LONG, LONG, "lower", file="lower")
    upper, work = layer(top, LONG, "u" + LONG, "upper"), layer(top, LONG, "u" + LONG, "work")
    for path in (upper, work):
        os.chown(path, 100000, 100000)

    def edit(config):
        user_namespace(config)
        overlay("lowerdir=" + lower, "upperdir=" + upper, "workdir=" + work)(config)
    box = c.bundle(["cat", "/over/file"], edit).give(100000)
    h.eq("lower\n", c.run(box).ok().out)


@h.test("a long name that does not exist, and a wrong option beside one, are told in words",
        needs=("overlayfs",))
def _(c):
    h.only_ours("the words are ours")
    top = space(c)
    lower = layer(top, LONG, LONG, "lower")
    c.run(c.bundle(["true"], overlay("lowerdir=" + lower + "gone"))).fails(
        r"mounts\[7\].*No such file or directory")
    c.run(c.bundle(["true"], overlay("lowerdir=" + lower, "no-such-option"))).fails(
        r"mounts\[7\].*no-such-option")


if __name__ == "__main__":
    h.main()
