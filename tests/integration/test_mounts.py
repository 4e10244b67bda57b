#!/usr/bin/env python3
"""mounts: options, targets, sources, propagation, the root file system."""
import os

import harness as h
import isolation
from bundle import bind, drop_namespace, mount, user_namespace


def options_of(c, destination, *mounts, edit=None):
    """Per-mount and superblock options, optional fields and type of `destination` inside."""
    def change(config):
        config["mounts"] += list(mounts)
        if edit:
            edit(config)
    text = c.check_output(["cat", "/proc/self/mountinfo"], change)
    rows = [line.split() for line in text.splitlines() if line.split()[4] == destination]
    h.true(rows, "%s is not a mount in\n%s" % (destination, text))
    row = rows[-1]
    dash = row.index("-")
    return set(row[5].split(",")), set(row[-1].split(",")), row[6:dash], row[dash + 1]


def with_mounts(*mounts):
    return lambda config: config["mounts"].extend(mounts)


@h.test("the mounts of the default config are there with their types")
def _(c):
    rows = {line.split()[1]: line.split() for line in
            c.check_output(["cat", "/proc/self/mounts"]).splitlines()}
    for place, kind in (("/proc", "proc"), ("/dev", "tmpfs"), ("/dev/pts", "devpts"),
                        ("/dev/shm", "tmpfs"), ("/dev/mqueue", "mqueue"), ("/sys", "sysfs"),
                        ("/sys/fs/cgroup", "cgroup2")):
        h.true(place in rows, place + " is not mounted")
        h.eq(kind, rows[place][2], place)
    h.true("nosuid" in rows["/dev/shm"][3] and "noexec" in rows["/dev/shm"][3], "/dev/shm options")
    h.true(rows["/sys"][3].startswith("ro"), "/sys is writable")


@h.test("the host's mounts are not visible")
def _(c):
    text = c.check_output(["cat", "/proc/self/mountinfo"])
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        host = {line.split()[4] for line in file} - {"/"}
    inside = {line.split()[4] for line in text.splitlines()}
    h.lacks("coracle-test", " ".join(inside))
    h.true(len(inside) < 40, "too many mounts inside: %s" % sorted(inside))
    h.true(not (host - {"/proc", "/dev", "/sys", "/dev/pts", "/dev/shm", "/dev/mqueue",
                        "/sys/fs/cgroup"}) & (inside - {"/proc/sys"}), "host mounts inside")


@h.test("bind of a directory shows it, writes go through")
def _(c):
    os.mkdir(c.path("shared"))
    c.check_output(["sh", "-c", "echo in > /data/file"],
                   with_mounts(bind(c.path("shared"), "/data")))
    with open(c.path("shared", "file"), encoding="ascii") as file:
        h.eq("in\n", file.read())


@h.test("bind of a file makes the mount point")
def _(c):
    with open(c.path("conf"), "w", encoding="ascii") as file:
        file.write("of the host\n")
    h.eq("of the host\n", c.check_output(["cat", "/etc/deep/er/conf"],
                                         with_mounts(bind(c.path("conf"), "/etc/deep/er/conf"))))


@h.test("a relative bind source is relative to the bundle")
def _(c):
    box = c.bundle(["cat", "/x"], with_mounts(bind("given", "/x")))
    with open(os.path.join(box.path, "given"), "w", encoding="ascii") as file:
        file.write("relative\n")
    h.eq("relative\n", c.run(box).ok().out)


@h.test("a mount is a bind if its options say so, whatever its type")
def _(c):
    os.mkdir(c.path("d"))
    for kind in ("none", "bind", "", "ext4"):
        entry = mount("/d", kind, c.path("d"), "bind")
        if not kind:
            del entry["type"]
        if kind == "ext4" and not h.is_ours():
            continue
        open(c.path("d", "seen"), "w", encoding="ascii").close()
        h.eq("seen\n", c.check_output(["ls", "/d"], with_mounts(entry)))


@h.test("ro, nosuid, nodev, noexec, noatime and friends on a bind")
def _(c):
    os.mkdir(c.path("d"))
    per_mount, _, _, _ = options_of(c, "/d", bind(c.path("d"), "/d", "ro", "nosuid", "nodev",
                                                  "noexec", "noatime", "nodiratime"))
    h.true({"ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime"} <= per_mount,
           "options are %s" % per_mount)
    per_mount, _, _, _ = options_of(c, "/d", bind(c.path("d"), "/d", "rw", "relatime"))
    h.true(not {"ro", "nosuid", "noexec", "nodev"} & per_mount, "options are %s" % per_mount)


@h.test("a read-only bind refuses writing, the source stays writable")
def _(c):
    os.mkdir(c.path("d"))
    box = c.bundle(["touch", "/d/x"], with_mounts(bind(c.path("d"), "/d", "ro")))
    c.run(box).fails("read-only")
    open(c.path("d", "y"), "w", encoding="ascii").close()


@h.test("every option of the first groups is accepted on a tmpfs")
def _(c):
    h.only_ours("some take defaults or loud for the file system's data")
    for option in ("async atime defaults dev diratime dirsync exec noatime nodev nodiratime "
                   "noexec norelatime nostrictatime nosuid relatime ro rw strictatime suid sync "
                   "iversion noiversion lazytime nolazytime loud silent mand nomand").split():
        if option in ("mand",):
            continue  # Linux 5.15 dropped mandatory locks; the flag is a warning in the log
        h.eq("x\n", c.check_output(["echo", "x"],
                                   with_mounts(mount("/t", "tmpfs", "tmpfs", option))))


@h.test("flags of a tmpfs land where they belong")
def _(c):
    per_mount, superblock, _, kind = options_of(
        c, "/t", mount("/t", "tmpfs", "tmpfs", "nosuid", "noexec", "nodev", "mode=711",
                       "size=1024k", "sync"))
    h.eq("tmpfs", kind)
    h.true({"nosuid", "noexec", "nodev"} <= per_mount, str(per_mount))
    h.true({"mode=711", "size=1024k", "sync"} <= superblock, str(superblock))


@h.test("later options win over earlier ones")
def _(c):
    per_mount, _, _, _ = options_of(c, "/t", mount("/t", "tmpfs", "tmpfs", "ro", "nosuid", "rw",
                                                   "suid"))
    h.true("rw" in per_mount and "nosuid" not in per_mount, str(per_mount))


@h.test("nosymfollow is honoured")
def _(c):
    h.only_ours("newer than others")
    per_mount, _, _, _ = options_of(c, "/t", mount("/t", "tmpfs", "tmpfs", "nosymfollow"))
    h.true("nosymfollow" in per_mount, str(per_mount))


@h.test("propagation of a mount: private, shared, slave, unbindable")
def _(c):
    os.mkdir(c.path("d"))
    for option, field in (("rprivate", None), ("shared", "shared"), ("rshared", "shared"),
                          ("slave", None), ("unbindable", "unbindable"),
                          ("runbindable", "unbindable")):
        _, _, fields, _ = options_of(c, "/d", bind(c.path("d"), "/d", option))
        if field:
            h.true(any(f.startswith(field) for f in fields), "%s gave %s" % (option, fields))
        else:
            h.true(not any(f.startswith(("shared", "unbind")) for f in fields),
                   "%s gave %s" % (option, fields))


@h.test("rbind brings what is mounted below, bind does not")
def _(c):
    os.makedirs(c.path("d", "sub"))
    isolation.mount("tmpfs", c.path("d", "sub"), "tmpfs")
    open(c.path("d", "sub", "deep"), "w", encoding="ascii").close()
    try:
        h.eq("deep\n", c.check_output(["ls", "/d/sub"],
                                      with_mounts(bind(c.path("d"), "/d", "rbind"))))
        h.eq("", c.check_output(["ls", "/d/sub"], with_mounts(bind(c.path("d"), "/d"))))
    finally:
        isolation.umount(c.path("d", "sub"))


@h.test("rro makes what is mounted below read-only, ro does not")
def _(c):
    h.only_ours("newer than others")
    os.makedirs(c.path("d", "sub"))
    isolation.mount("tmpfs", c.path("d", "sub"), "tmpfs")
    try:
        box = c.bundle(["sh", "-c", "touch /d/sub/x && echo wrote; touch /d/x || echo kept"],
                       with_mounts(bind(c.path("d"), "/d", "rbind", "ro")))
        h.eq("wrote\nkept\n", c.run(box).ok().out)
        box = c.bundle(["sh", "-c", "touch /d/sub/x || touch /d/x || echo kept"],
                       with_mounts(bind(c.path("d"), "/d", "rbind", "rro")))
        h.eq("kept\n", c.run(box).ok().out)
    finally:
        isolation.umount(c.path("d", "sub"))


@h.test("mounts happen in the order of the list")
def _(c):
    os.mkdir(c.path("d"))
    open(c.path("d", "seen"), "w", encoding="ascii").close()
    h.eq("seen\n", c.check_output(["ls", "/t/d"], with_mounts(
        mount("/t", "tmpfs", "tmpfs"), bind(c.path("d"), "/t/d"))))
    h.eq("", c.check_output(["ls", "/t/d"], with_mounts(
        bind(c.path("d"), "/t/d"), mount("/t", "tmpfs", "tmpfs"), mount("/t/d", "tmpfs", "t"))))


@h.test("a bind of a place below root.path shows what is mounted there by then")
def _(c):
    h.only_ours("others differ")
    os.makedirs(c.path("d", "sub"))
    with open(c.path("d", "sub", "file"), "w", encoding="ascii") as file:
        file.write("seen\n")
    for owner in (None, 100000):
        box = c.bundle(["cat", "/final/file"], None if owner is None else user_namespace)
        if owner is not None:
            box.give(owner)
        box.config["mounts"] += [
            bind(c.path("d"), "/mnt"),
            # The destination as a path of the host, too.
            bind(box.rootfs + "/mnt/sub", box.rootfs + "/final", "rbind")]
        box.write()
        done = c.run(box).ok()
        h.eq("seen\n", done.out)
        h.has("taken as /final", done.err)
        h.true(not os.path.exists(box.rootfs + box.rootfs), "the host's path was made inside")


@h.test("tmpcopyup keeps what the tmpfs hides")
def _(c):
    box = c.bundle(["sh", "-c", "cat /etc/keep; echo new > /etc/keep; stat -c %a /etc/keep"],
                   with_mounts(mount("/etc", "tmpfs", "tmpfs", "tmpcopyup")))
    box.put("etc/keep", "kept\n", 0o640)
    h.eq("kept\n640\n", c.run(box).ok().out)
    with open(box.file("etc/keep"), encoding="ascii") as file:
        h.eq("kept\n", file.read())


@h.test("a tmpfs takes the mode of the directory it covers unless told another")
def _(c):
    h.only_ours("newer than others")
    box = c.bundle(["stat", "-c", "%a", "/var", "/run"], with_mounts(
        mount("/var", "tmpfs", "tmpfs"), mount("/run", "tmpfs", "tmpfs", "mode=700")))
    os.chmod(box.file("var"), 0o1751)
    h.eq("1751\n700\n", c.run(box).ok().out)


@h.test("mount points are found inside the rootfs, over absolute and climbing symlinks")
def _(c):
    os.mkdir(c.path("d"))
    open(c.path("d", "seen"), "w", encoding="ascii").close()
    for link in ("/real", "../../../../real", "real", "/../../real"):
        box = c.bundle(["ls", "/real"], with_mounts(bind(c.path("d"), "/link")))
        os.mkdir(box.file("real"))
        os.symlink(link, box.file("link"))
        h.eq("seen\n", c.run(box).ok().out)


@h.test("a dangling symlink as mount point is followed inside")
def _(c):
    h.only_ours("others differ")
    os.mkdir(c.path("d"))
    open(c.path("d", "seen"), "w", encoding="ascii").close()
    box = c.bundle(["ls", "/not/there/yet"], with_mounts(bind(c.path("d"), "/link")))
    os.symlink("/not/there/yet", box.file("link"))
    h.eq("seen\n", c.run(box).ok().out)


@h.test("a missing bind source fails with its path and leaves nothing")
def _(c):
    box = c.bundle(["true"], with_mounts(bind(c.path("absent"), "/x")))
    c.run(box).fails("absent.*no such file or directory|no such file or directory.*absent")


@h.test("an unknown file system or bad data fails with the mount's place in the config")
def _(c):
    count = len(c.bundle(["true"]).config["mounts"])
    done = c.run(c.bundle(["true"], with_mounts(mount("/x", "no-such-fs", "x")))).fails()
    if h.is_ours():
        h.match(r"mounts\[%d\]" % count, done.err)
    done = c.run(c.bundle(["true"], with_mounts(mount("/x", "tmpfs", "x", "size=pink")))).fails()
    if h.is_ours():
        h.match(r"mounts\[%d\]" % count, done.err)


@h.test("root.readonly: the root is read-only, its mounts are not")
def _(c):
    box = c.bundle(["sh", "-c", "touch /x || echo ro; touch /dev/shm/x && echo rw"],
                   lambda cfg: cfg["root"].update(readonly=True))
    h.eq("ro\nrw\n", c.run(box).ok().out)


@h.test("rootfsPropagation is honoured")
def _(c):
    for value, field in (("shared", "shared:"), ("slave", None), ("private", None),
                         ("unbindable", "unbindable")):
        box = c.bundle(["cat", "/proc/self/mountinfo"],
                       lambda cfg, v=value: cfg["linux"].update(rootfsPropagation=v))
        row = [l.split() for l in c.run(box).ok().out.splitlines() if l.split()[4] == "/"][-1]
        fields = row[6:row.index("-")]
        if field and h.is_ours():
            h.true(any(f.startswith(field) for f in fields), "%s gave %s" % (value, fields))
        elif value == "private":
            h.true(not any(f.startswith("shared") for f in fields), "%s: %s" % (value, fields))
    c.run(c.bundle(["true"], lambda cfg: cfg["linux"].update(rootfsPropagation="pink"))).fails()


@h.test("a mount made inside does not reach the host")
def _(c):
    os.mkdir(c.path("d"))
    from bundle import MANY_CAPS, cap_sets
    box = c.bundle(["sh", "-c", "mount -t tmpfs x /d && touch /d/hidden && ls /d"],
                   with_mounts(bind(c.path("d"), "/d")), capabilities=cap_sets(MANY_CAPS))
    h.eq("hidden\n", c.run(box).ok().out)
    h.eq([], os.listdir(c.path("d")))


@h.test("idmap: files of a bind appear with shifted owners", needs=("idmap",))
def _(c):
    h.only_ours("newer than others")
    os.mkdir(c.path("d"))
    open(c.path("d", "f"), "w", encoding="ascii").close()
    os.chown(c.path("d", "f"), 1000, 1001)
    entry = bind(c.path("d"), "/d", "idmap")
    entry["uidMappings"] = [{"containerID": 1000, "hostID": 2000, "size": 1},
                            {"containerID": 0, "hostID": 0, "size": 1}]
    entry["gidMappings"] = [{"containerID": 1001, "hostID": 3001, "size": 1},
                            {"containerID": 0, "hostID": 0, "size": 1}]
    h.eq("2000 3001\n", c.check_output(["stat", "-c", "%u %g", "/d/f"], with_mounts(entry)))


@h.test("idmap in a user namespace: of a place below root.path too", needs=("idmap",))
def _(c):
    h.only_ours("others differ")
    os.makedirs(c.path("d", "sub"))
    with open(c.path("d", "sub", "file"), "w", encoding="ascii"):
        pass
    for options, owner in (("rbind",), "65534"), (("rbind", "idmap"), "0"):
        box = c.bundle(["stat", "-c", "%u", "/final/file"], user_namespace)
        box.give(100000)
        box.config["mounts"] += [bind(c.path("d"), "/mnt"),
                                 bind(box.rootfs + "/mnt/sub", "/final", *options)]
        box.write()
        h.eq(owner + "\n", c.run(box).ok().out, str(options))


@h.test("idmap without mappings and without a user namespace is refused")
def _(c):
    h.only_ours("newer than others")
    os.mkdir(c.path("d"))
    c.run(c.bundle(["true"], with_mounts(bind(c.path("d"), "/d", "idmap")))).fails()
    entry = bind(c.path("d"), "/d")
    entry["uidMappings"] = [{"containerID": 0, "hostID": 1, "size": 1}]
    c.run(c.bundle(["true"], with_mounts(entry))).fails()


@h.test("in a user namespace: binds keep working, locked flags stay")
def _(c):
    os.mkdir(c.path("d"))
    os.chmod(c.path("d"), 0o777)
    isolation.mount(c.path("d"), c.path("d"), None, 4096)
    isolation.mount("none", c.path("d"), None, 4096 | 32 | 2)  # remount bind nosuid
    try:
        def edit(config):
            user_namespace(config)
            config["mounts"].append(bind(c.path("d"), "/d", "ro"))
        box = c.bundle(["sh", "-c", "grep ' /d ' /proc/self/mountinfo"], edit)
        out = c.run(box.give(100000)).ok().out
        h.match(r"\bro\b.*nosuid", out)
    finally:
        isolation.umount(c.path("d"))


@h.test("a bind keeps its source's restrictions; an option that names one names them all")
def _(c):
    if "crun" in h.runtime()[0]:
        h.skip("crun takes rw for no flag")
    os.mkdir(c.path("d"))
    isolation.mount(c.path("d"), c.path("d"), None, 4096)
    isolation.mount("none", c.path("d"), None, 4096 | 32 | 1 | 2 | 4 | 8)
    try:
        for options, want in (((), {"ro", "nosuid", "nodev", "noexec"}), (("rw",), {"rw"}),
                              (("noexec",), {"rw", "noexec"}), (("rprivate", "dev"), {"rw"})):
            per_mount, _, _, _ = options_of(c, "/d", bind(c.path("d"), "/d", *options))
            h.eq(want, per_mount & {"ro", "rw", "nosuid", "nodev", "noexec"}, str(options))
    finally:
        isolation.umount(c.path("d"))


@h.test("a private sysfs is refused or replaced without a network namespace of its own")
def _(c):
    def edit(config):
        user_namespace(config)
        drop_namespace(config, "network")
    done = c.run(c.bundle(["sh", "-c", "ls -d /sys/kernel; touch /sys/kernel/x || echo ro"],
                          edit).give(100000))
    if done.status:
        done.fails("sys")  # the kernel's refusal, in words
    else:
        h.eq("/sys/kernel\nro\n", done.out)


@h.test("a cgroup mount without a cgroup namespace shows only the own cgroup")
def _(c):
    h.only_ours("others bind the whole tree")
    def edit(config):
        drop_namespace(config, "cgroup")
    box = c.bundle(["sh", "-c", "cat /sys/fs/cgroup/cgroup.procs | wc -l; "
                    "mkdir /sys/fs/cgroup/x || echo ro"], edit)
    out = c.run(box).ok().out
    h.has("ro", out)


@h.test("50 mounts")
def _(c):
    os.mkdir(c.path("d"))
    h.eq("50\n", c.check_output(
        ["sh", "-c", "grep -c ' /many/' /proc/self/mountinfo"],
        with_mounts(*[bind(c.path("d"), "/many/%d" % i, "ro") for i in range(50)])))


if __name__ == "__main__":
    h.main()
