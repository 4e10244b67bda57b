"""config.md: root and mounts."""
import os

import corner
from bundle import bind, mount
from case import mount_lines
from rules import eq, may, must, must_not, should, should_not, skip, true, untestable

# ---- root --------------------------------------------------------------------------------------


@must("C4", "config.md#root", "root is required on Linux")
def _(c):
    c.refused(lambda box: box.config.pop("root"))


@must("C5", "config.md#root", "root.path is required")
def _(c):
    c.refused(lambda box: box.config["root"].pop("path"))


@must("C6", "config.md#root", "root.path may be relative to the bundle")
def _(c):
    eq("alive\n", c.prints("echo alive"))


@must("C7", "config.md#root", "root.path may be absolute")
def _(c):
    eq("alive\n", c.prints("echo alive", lambda box: box.config["root"].update(path=box.rootfs)))


@must("C8", "config.md#root", "there must be a directory at root.path")
def _(c):
    c.refused(lambda box: box.config["root"].update(path="missing"))
    c.refused(lambda box: box.config["root"].update(path="config.json"))


@must("C9", "config.md#root", "readonly true makes the root file system read-only")
def _(c):
    box = c.shell("touch /file 2>/dev/null || echo refused")
    box.config["root"]["readonly"] = True
    eq("refused\n", c.result(box))
    eq(False, os.path.exists(box.file("file")))


@must("C10", "config.md#root", "readonly is false unless it is set")
def _(c):
    box = c.shell("touch /file && echo made")
    eq("made\n", c.result(box))
    eq(True, os.path.exists(box.file("file")))


# ---- mounts ------------------------------------------------------------------------------------

def mounted(c, *entries):
    """mountinfo inside, with these mounts added."""
    return mount_lines(c.prints("cat /proc/self/mountinfo",
                                lambda box: box.config["mounts"].extend(entries)))


def tmpfs(*options, destination="/mnt"):
    return mount(destination, "tmpfs", "tmpfs", *options)


@must("C11", "config.md#mounts", "mounts are made in the listed order")
def _(c):
    def edit(box):
        for number in range(3):
            os.makedirs(c.path("m%d" % number, "sub"))
            c.write("m%d/sub/name" % number, "%d\n" % number)
        box.config["mounts"].extend([bind(c.path("m0"), "/mnt"), bind(c.path("m1"), "/mnt"),
                                     bind(c.path("m2/sub"), "/mnt/sub")])
    eq("2\n", c.prints("cat /mnt/sub/name", edit))


@must("C12", "config.md#mounts", "a relative destination is relative to /")
def _(c):
    true("/mnt/sub" in mounted(c, tmpfs(destination="mnt/sub")), "not mounted on /mnt/sub")


@must("C13", "config.md#mounts", "the source of a bind mount may be relative to the bundle")
def _(c):
    def edit(box):
        c.write(box.id + "/folder/name", "relative\n")
        box.config["mounts"].append(bind("folder", "/mnt"))
    eq("relative\n", c.prints("cat /mnt/name", edit))


@must("C14", "config.md#mounts", "bind or rbind makes a bind mount, whatever the type says")
def _(c):
    c.write("folder/name", "bound\n")
    for option in ("bind", "rbind"):
        for kind in ("none", "bind", "tmpfs"):
            eq("bound\n", c.prints("cat /mnt/name", lambda box, o=option, k=kind: box.config[
                "mounts"].append(mount("/mnt", k, c.path("folder"), o))))


@must("C15", "config.md#posix-platform-mounts", "type is a file system the kernel has")
def _(c):
    eq("tmpfs", mounted(c, tmpfs())["/mnt"][2])
    c.refused(lambda box: box.config["mounts"].append(mount("/mnt", "no-such-fs", "none")))


@must("C16", "config.md#mounts", "destination is required")
def _(c):
    c.refused(lambda box: box.config["mounts"].append({"type": "tmpfs", "source": "tmpfs"}))


@must("C17", "config.md#mounts", "the source of a bind mount must exist")
def _(c):
    c.refused(lambda box: box.config["mounts"].append(bind(c.path("missing"), "/mnt")))


@should("C18", "config.md#linux-mount-options", "unknown options are the file system's own")
def _(c):
    line = mounted(c, tmpfs("size=64k", "mode=700"))["/mnt"]
    true("size=64k" in line[3] and "mode=700" in line[3], line)


@must("C19", "config.md#linux-mount-options", "an option the file system refuses is an error")
def _(c):
    c.refused(lambda box: box.config["mounts"].append(tmpfs("nosuchoption=1")))


# ---- options: one rule each --------------------------------------------------------------------

def bound(c, options):
    """mountinfo lines of a bind of a tree with a mount below it: (the mount, the one below)."""
    top = c.path("tree")
    os.makedirs(top)
    corner.mount("tmpfs", top, "tmpfs")
    os.mkdir(top + "/below")
    corner.mount("tmpfs", top + "/below", "tmpfs")
    found = mounted(c, mount("/mnt", "none", top, *options))
    return found["/mnt"], found.get("/mnt/below")


def on_tmpfs(wanted=(), absent=(), superblock=()):
    """A test of options on a tmpfs: what mountinfo must show and must not."""
    def check(c, option, before=()):
        line = mounted(c, tmpfs(*before, option))["/mnt"]
        for word in wanted:
            true(word in line[0], "%s: no %r in %s" % (option, word, line))
        for word in absent:
            true(word not in line[0] + line[3], "%s: %r in %s" % (option, word, line))
        for word in superblock:
            true(word in line[3], "%s: no %r in %s" % (option, word, line))
    return check


def on_bind(wanted, absent):
    def check(c, option, before=()):
        line = bound(c, ("bind", option))[0]
        for word in wanted:
            true(any(f.startswith(word) for f in line[1]), "%s: %s" % (option, line))
        for word in absent:
            true(not any(f.startswith(word) for f in line[1]), "%s: %s" % (option, line))
    return check


def recursively(wanted=(), absent=()):
    """A test of an r option: it reaches the mount below."""
    def check(c, option, before=()):
        for line in bound(c, ("rbind", option)):
            for word in wanted:
                true(word in line[0], "%s: no %r in %s" % (option, word, line))
            for word in absent:
                true(word not in line[0], "%s: %r in %s" % (option, word, line))
    return check


def _shows(word):
    return on_tmpfs(wanted=(word,))


def _lifts(word):
    """The opposite of an option that stands before it."""
    inner = on_tmpfs(absent=(word,))
    return lambda c, option: inner(c, option, (word,))


def _accepted(c, option):
    true("/mnt" in mounted(c, tmpfs(option)), option + ": not mounted")


def _bind(c, option):
    one, below = bound(c, (option,))
    true(one, "not mounted")
    eq(option == "rbind", below is not None, "the mount below")


def _remount(c, option):
    top = c.path("tree")
    os.makedirs(top)
    line = mounted(c, bind(top, "/mnt"), mount("/mnt", "none", top, "bind", "remount", "ro"))
    true("ro" in line["/mnt"][0], line["/mnt"])


MUST_OPTIONS = {
    "async": _lifts("sync"), "atime": _lifts("noatime"), "bind": _bind, "defaults": _accepted,
    "dev": _lifts("nodev"), "diratime": _lifts("nodiratime"),
    "dirsync": on_tmpfs(superblock=("dirsync",)), "exec": _lifts("noexec"),
    "iversion": _accepted, "lazytime": on_tmpfs(superblock=("lazytime",)), "loud": _accepted,
    "noatime": _shows("noatime"), "nodev": _shows("nodev"), "nodiratime": _shows("nodiratime"),
    "noexec": _shows("noexec"), "noiversion": _accepted, "nolazytime": _lifts("lazytime"),
    "norelatime": _accepted, "nostrictatime": _accepted, "nosuid": _shows("nosuid"),
    "private": on_bind((), ("shared:", "master:")), "rbind": _bind,
    "relatime": _shows("relatime"), "remount": _remount, "ro": _shows("ro"),
    "rprivate": on_bind((), ("shared:", "master:")), "rshared": on_bind(("shared:",), ()),
    "rslave": on_bind((), ("shared:",)), "runbindable": on_bind(("unbindable",), ()),
    "rw": _lifts("ro"), "shared": on_bind(("shared:",), ()), "silent": _accepted,
    "slave": on_bind((), ("shared:",)), "strictatime": on_tmpfs(absent=("relatime", "noatime")),
    "suid": _lifts("nosuid"), "sync": on_tmpfs(superblock=("sync",)),
    "unbindable": on_bind(("unbindable",), ())}
SHOULD_OPTIONS = {
    "nosymfollow": _shows("nosymfollow"), "ratime": recursively(absent=("noatime",)),
    "rdev": recursively(absent=("nodev",)), "rdiratime": recursively(absent=("nodiratime",)),
    "rexec": recursively(absent=("noexec",)), "rnoatime": recursively(("noatime",)),
    "rnodev": recursively(("nodev",)),
    "rnodiratime": recursively(("nodiratime",)), "rnoexec": recursively(("noexec",)),
    "rnorelatime": recursively(), "rnostrictatime": recursively(),
    "rnosuid": recursively(("nosuid",)), "rnosymfollow": recursively(("nosymfollow",)),
    "rrelatime": recursively(("relatime",)), "rro": recursively(("ro",)),
    "rrw": recursively(("rw",)), "rstrictatime": recursively(absent=("relatime", "noatime")),
    "rsuid": recursively(absent=("nosuid",)), "rsymfollow": recursively(absent=("nosymfollow",)),
    "symfollow": _lifts("nosymfollow")}

for _at, (_option, _check) in enumerate(sorted(MUST_OPTIONS.items())):
    @must("M%d" % (_at + 1), "config.md#linux-mount-options", "option " + _option)
    def _(c, option=_option, check=_check):
        check(c, option)

for _at, (_option, _check) in enumerate(sorted(SHOULD_OPTIONS.items())):
    @should("M%d" % (_at + 50), "config.md#linux-mount-options", "option " + _option)
    def _(c, option=_option, check=_check):
        check(c, option)


@may("M80", "config.md#linux-mount-options", "option tmpcopyup")
def _(c):
    def edit(box):
        box.put("mnt/file", "copied\n")
        box.config["mounts"].append(tmpfs("tmpcopyup"))
    eq("copied\n", c.prints("cat /mnt/file; umount /mnt 2>/dev/null", edit))


# ---- id-mapped mounts --------------------------------------------------------------------------

MAP_ZERO = [{"containerID": 0, "hostID": 1000, "size": 1}]  # on disk 0, in the mount 1000


def maps_tmpfs():
    """Whether the kernel can map the ids of a tmpfs, where the suite's files are."""
    return tuple(int(n) for n in os.uname().release.split("-")[0].split(".")[:2]) >= (6, 3)


def mapped(c, *options, user_namespace=False, **mappings):
    """stat of a file of host uid 0 and of one below, in a volume mounted with these mappings."""
    if not maps_tmpfs():
        skip("before Linux 6.3 a tmpfs cannot be id-mapped")
    top = c.path("volume")
    if not os.path.isdir(top):
        c.write("volume/file", "x")
        os.mkdir(top + "/below")
        corner.mount("tmpfs", top + "/below", "tmpfs")
        c.write("volume/below/file", "x")
    entry = mount("/mnt", "none", top, *options)
    entry.update(mappings)

    def edit(box):
        box.config["mounts"].append(entry)
        if user_namespace:
            box.user_namespace()
    return edit, "stat -c %u /mnt/file; stat -c %u /mnt/below/file"


def shown(c, *arguments, **keywords):
    edit, script = mapped(c, *arguments, **keywords)
    return c.prints(script + " 2>/dev/null; echo alive", edit)


@should("M90", "config.md#linux-mount-options", "option idmap with mappings maps the ids")
def _(c):
    # An id outside the mapping shows as the overflow id, so the values are the mapping's own.
    text = shown(c, "bind", "idmap", uidMappings=MAP_ZERO, gidMappings=MAP_ZERO)
    eq(["1000", "alive"], text.split(), text)


@should("M91", "config.md#linux-mount-options", "option ridmap with mappings maps those below too")
def _(c):
    text = shown(c, "rbind", "ridmap", uidMappings=MAP_ZERO, gidMappings=MAP_ZERO)
    eq(["1000", "1000", "alive"], text.split(), text)


@must("M92", "config.md#linux-mount-options", "idmap without mappings or user namespace: error")
def _(c):
    c.refused(mapped(c, "bind", "idmap")[0])


@must("M93", "config.md#linux-mount-options", "ridmap without mappings or user namespace: error")
def _(c):
    c.refused(mapped(c, "rbind", "ridmap")[0])


@must("M94", "config.md#linux-mount-options", "idmap without mappings: the container's, or an error")
def _(c):
    edit, script = mapped(c, "bind", "idmap", user_namespace=True)
    box = c.shell(script.split(";")[0])
    edit(box)
    done = c.create(box)
    if done.status == 0:
        c.start(box).ok()
        c.wait(box)
        eq("0\n", box.output())
    else:
        done.error()


@must("M95", "config.md#posix-platform-mounts", "uidMappings and gidMappings come together")
def _(c):
    c.refused(mapped(c, "bind", "idmap", uidMappings=MAP_ZERO)[0])
    c.refused(mapped(c, "bind", "idmap", gidMappings=MAP_ZERO)[0])


@should("M96", "config.md#posix-platform-mounts", "mappings are applied by mount_setattr(2)")
def _(c):
    edit, _ = mapped(c, "bind", "idmap", uidMappings=MAP_ZERO, gidMappings=MAP_ZERO)
    line = mount_lines(c.prints("cat /proc/self/mountinfo", edit))["/mnt"]
    true("idmapped" in line[0], line)
    eq(0, os.stat(c.path("volume", "file")).st_uid)


@should_not("M97", "config.md#linux-mount-options", "idmap is not given to the file system")
def _(c):
    if not maps_tmpfs():
        skip("before Linux 6.3 a tmpfs cannot be id-mapped")

    def edit(box):
        entry = tmpfs("idmap")
        entry.update(uidMappings=MAP_ZERO, gidMappings=MAP_ZERO)
        box.config["mounts"].append(entry)
    line = mount_lines(c.prints("cat /proc/self/mountinfo", edit))["/mnt"]
    true("idmapped" in line[0] and "idmap" not in line[3], line)


untestable("M98", "SHOULD", "config.md#linux-mount-options",
           "custom options that mount(8) knows behave as there",
           "a rule for options a runtime adds of its own; the specification names none")


@must_not("M99", "config.md#mounts", "mounts are not visible to the host")
def _(c):
    before = corner.mounts()
    c.up(c.bundle())
    eq(before, corner.mounts())
