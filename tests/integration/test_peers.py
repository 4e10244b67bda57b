#!/usr/bin/env python3
"""What runc or crun have and no other test here touches: options of commands and of mounts."""
import json
import os
import shutil

import harness as h
import isolation
from bundle import bind, mount, user_namespace
from seccomp import profile, rule

RECURSIVE = ("rro rrw rsuid rnosuid rdev rnodev rexec rnoexec rdiratime rnodiratime ratime "
             "rnoatime rrelatime rnorelatime rstrictatime rnostrictatime rsymfollow rnosymfollow "
             "rsync rasync rdirsync rmand rnomand").split()
PLAIN = ("async atime bind defaults dev diratime dirsync exec noatime nodev nodiratime noexec "
         "norelatime nostrictatime nosuid relatime ro rw strictatime suid sync iversion noiversion "
         "lazytime nolazytime loud silent mand nomand nosymfollow symfollow").split()


def adding(entry):
    return lambda config: config["mounts"].append(entry)


# ---- commands ----------------------------------------------------------------------------------

@h.test("--config names another file of the bundle, or any file")
def _(c):
    h.only_ours("runc has no --config")
    box = c.bundle(["echo", "ran"])
    os.rename(box.path + "/config.json", box.path + "/other.json")
    c.run(box).fails("config.json")
    h.eq("ran\n", c.run(box, "--config", "other.json").ok().out)
    os.rename(box.path + "/other.json", c.path("elsewhere"))
    h.eq("ran\n", c.run(box, "-f", c.path("elsewhere")).ok().out)


@h.test("--no-pivot: the root is the container's, without pivot_root")
def _(c):
    box = c.bundle(["sh", "-c", "ls -d /proc/self /bin; ls /../.. | grep -c rootfs"])
    h.eq("/bin\n/proc/self\n0\n", c.run(box, "--no-pivot").out)
    box = c.up(c.sleeper(), "--no-pivot")
    h.eq("up\n", c.exec(box, "echo", "up").ok().out)


@h.test("--cgroup-manager disabled: no cgroup, and what needs one says so")
def _(c):
    h.only_ours("our words; runc has no such manager")
    box = c.sleeper()
    c.create(box, globals_=["--cgroup-manager", "disabled"])
    c.start(box)
    h.eq(False, os.path.exists(c.cgroup(box)))
    for args in (["pause"], ["ps"], ["update", "--memory", "10M"], ["stats"], ["events", "--stats"]):
        command, *options = args
        c.rt(command, *options, box.id).fails("cgroup")
    h.eq("running", c.status(box))
    h.eq("x\n", c.exec(box, "echo", "x").ok().out)
    c.rt("kill", "--all", box.id, "KILL").ok()
    c.wait_stopped(box)
    c.delete(box).ok()


@h.test("--cgroup-manager disabled: limits are refused", needs=("hugetlb",))
def _(c):
    h.only_ours("runc has no such manager")
    limited = c.bundle(["true"], lambda config: config["linux"]["resources"].update(
        hugepageLimits=[{"pageSize": "2MB", "limit": 2097152}]))
    c.rt("run", "-b", limited.path, limited.id, options=["--cgroup-manager", "disabled"]).fails(
        "cgroups are disabled")


@h.test("--log-level chooses what is told")
def _(c):
    h.only_ours("runc has no --log-level")
    box = c.bundle(["true"], lambda config: config["process"]["capabilities"]["bounding"].append(
        "CAP_NO_SUCH"))

    def told(level):
        return c.rt("run", "-b", box.path, box.id, options=["--log-level", level]).ok().err
    h.eq("", told("error"))
    h.has("CAP_NO_SUCH", told("warning"))
    h.true(len(told("debug")) > len(told("warning")), "debug tells more")
    c.rt("--log-level", "pink", "list").fails("pink")


@h.test("info: version, kernel, state root, and what is lacking with its reason")
def _(c):
    h.only_ours("our command")
    out = c.rt("info").ok().out
    for pattern in (r"^coracle version ", r"^kernel: \d", r"^root: " + c.root, r"^controllers:"):
        h.match(pattern, out)
    lacks = json.loads(c.rt("features", "--host").ok().out)["host"]["lacks"]
    for row in lacks:
        h.has("lacks %s: %s\n" % (row["feature"], row["reason"]), out)


@h.test("options that callers of runc and crun send and that change nothing")
def _(c):
    h.only_ours("each knows some")
    box = c.sleeper()
    c.create(box, "-no-subreaper", "-pid-file", c.path("pid"))
    c.start(box)
    c.rt("update", "--kernel-memory", "100M", "--kernel-memory-tcp", "100M", box.id).ok()
    c.rt("-debug", "list", options=["--rootless=false"]).ok()


@h.test("list: the header and the columns of the table, and one JSON array")
def _(c):
    h.only_ours("crun's header differs")
    box = c.up(c.sleeper())
    lines = c.rt("list").ok().out.splitlines()
    h.eq("ID PID STATUS BUNDLE CREATED OWNER".split(), lines[0].split())
    h.eq([box.id, str(c.state(box)["pid"]), "running", box.path], lines[1].split()[:4])
    rows = json.loads(c.rt("list", "-f", "json").ok().out)
    h.eq({"id": box.id, "status": "running", "owner": "root"},
         {key: rows[0][key] for key in ("id", "status", "owner")})
    c.rt("list", "-f", "xml").fails("xml")


# ---- mounts ------------------------------------------------------------------------------------

@h.test("every option of the specification's and of crun's is taken, on a bind and on a tmpfs")
def _(c):
    h.only_ours("each lacks some")
    os.mkdir(c.path("source"))
    for option in PLAIN + RECURSIVE:
        c.run(c.bundle(["true"], adding(bind(c.path("source"), "/x", option)))).ok(option)
        if option != "bind":
            c.run(c.bundle(["true"], adding(mount("/x", "tmpfs", "tmpfs", option)))).ok(option)


@h.test("recursive options reach what is mounted below")
def _(c):
    os.makedirs(c.path("source/below"))
    isolation.mount("tmpfs", c.path("source/below"), "tmpfs")
    c.undo.append(lambda: isolation.umount(c.path("source/below")))
    for option, flag in (("rro", "ro"), ("rnosuid", "nosuid"), ("rnodev", "nodev"),
                         ("rnoexec", "noexec"), ("rnoatime", "noatime"),
                         ("rnodiratime", "nodiratime"), ("rnosymfollow", "nosymfollow")):
        out = c.check_output(["grep", " /x/below ", "/proc/self/mountinfo"],
                             adding(bind(c.path("source"), "/x", "rbind", option)))
        h.true(flag in out.split()[5].split(","), "%s: %s" % (option, out))


@h.test("idmap on a file system that is not a bind", needs=("idmap",))
def _(c):
    h.only_ours("runc takes it for binds only")

    def edit(config):
        config["mounts"].append({"destination": "/x", "type": "tmpfs", "source": "tmpfs",
                                 "options": ["idmap=uids=0-5000-10;gids=0-5000-10", "mode=777"]})
    if tuple(map(int, os.uname().release.split(".")[:2])) < (6, 3):
        h.skip("Linux 6.3 is the first with idmapped tmpfs")
    h.has("idmapped", c.check_output(["sh", "-c", "grep ' /x ' /proc/self/mountinfo"], edit))

    def inside(config):
        user_namespace(config)
        edit(config)
    c.run(c.bundle(["true"], inside).give(100000)).fails("rights over both")


@h.test("copy-symlink: a symlink is copied instead of being followed")
def _(c):
    h.only_ours("runc has it not")
    os.symlink("/somewhere/else", c.path("link"))
    box = c.bundle(["readlink", "/x"], adding(bind(c.path("link"), "/x", "copy-symlink")))
    h.eq("/somewhere/else\n", c.run(box).ok().out)
    os.mkdir(c.path("folder"))
    box = c.bundle(["sh", "-c", "grep -c ' /x ' /proc/self/mountinfo"],
                   adding(bind(c.path("folder"), "/x", "copy-symlink")))
    h.eq("1\n", c.run(box).ok().out)


@h.test("src-nofollow, dest-nofollow: a symlink at the end is not followed")
def _(c):
    h.only_ours("runc has them not")
    with open(c.path("file"), "w", encoding="ascii") as file:
        file.write("content\n")
    os.symlink(c.path("file"), c.path("link"))
    h.eq("content\n", c.check_output(["cat", "/x"], adding(bind(c.path("link"), "/x"))))
    h.eq(c.path("file") + "\n", c.check_output(
        ["readlink", "/x"], adding(bind(c.path("link"), "/x", "src-nofollow"))))
    box = c.bundle(["cat", "/target"], adding(bind(c.path("file"), "/way")))
    os.symlink("/target", box.file("way"))
    h.eq("content\n", c.run(box).ok().out)
    box = c.bundle(["sh", "-c", "cat /way; cat /target 2>/dev/null; :"],
                   adding(bind(c.path("file"), "/way", "dest-nofollow")))
    os.symlink("/target", box.file("way"))
    done = c.run(box)
    h.true(not os.path.exists(box.file("target")), "the target was not made")
    h.true(done.status != 0 or done.out == "content\n", done.words())


@h.test("all masked folders are one file system")
def _(c):
    h.only_ours("runc 1.1 has one for each")
    folders = ["/mask%d" % n for n in range(5)]
    box = c.bundle(["cat", "/proc/self/mountinfo"], lambda config: config["linux"].update(
        maskedPaths=folders))
    for folder in folders:
        os.mkdir(box.file(folder[1:]))
    rows = [line.split() for line in c.run(box).ok().out.splitlines()]
    masks = [row for row in rows if row[4] in folders]
    h.eq(5, len(masks))
    h.eq(1, len({row[2] for row in masks}), "file systems")


@h.test("labels of a process are refused without their LSM, by create and exec")
def _(c):
    labels = {}
    if not os.path.isdir("/sys/fs/selinux/booleans"):
        labels["selinuxLabel"] = "system_u:system_r:container_t:s0"
    if not os.path.exists("/sys/module/apparmor/parameters/enabled"):
        labels["apparmorProfile"] = "docker-default"
    if not labels:
        h.skip("this machine has both SELinux and AppArmor")
    for key, label in labels.items():
        c.run(c.bundle(["true"], **{key: label})).fails("selinux" if key[0] == "s" else "apparmor")
    box = c.up(c.sleeper())
    for key, option in (("apparmorProfile", "--apparmor"), ("selinuxLabel", "--process-label")):
        if key in labels:
            c.exec(box, "true", options=[option, labels[key]]).fails()


@h.test("a label for mounts without SELinux is told of and the container runs")
def _(c):
    h.only_ours("the kernel refuses runc's mounts")
    if os.path.isdir("/sys/fs/selinux/booleans"):
        h.skip("this machine has SELinux")

    def edit(config):
        config["linux"]["mountLabel"] = "system_u:object_r:container_file_t:s0"
    h.has("linux.mountLabel: SELinux is off", c.run(c.bundle(["true"], edit)).ok().err)


# ---- seccomp -----------------------------------------------------------------------------------

@h.test("a state root may hold the filters that earlier versions kept")
def _(c):
    h.only_ours("the cache of coracle's earlier versions")
    edit = profile(rule("mkdir"))
    box = c.sleeper(edit)
    kept = os.path.join(c.root, ".seccomp")
    os.makedirs(kept, mode=0o700)
    with open(os.path.join(kept, "0123456789abcdef"), "wb") as file:
        file.write(b"CORSECC1" + b"\xff" * 64)
    c.up(box)
    h.eq("2\n", c.exec(box, "sh", "-c", "grep -w Seccomp: /proc/self/status | cut -f2").ok().out)
    h.eq([box.id], [one["id"] for one in json.loads(c.rt("list", "--format", "json").ok().out)])
    c.delete(box, "--force").ok()
    h.eq([".seccomp"], os.listdir(c.root))
    h.eq(["0123456789abcdef"], os.listdir(kept))



@h.test("what runc spec and crun spec write gives no warning")
def _(c):
    h.only_ours("it is about our warnings")
    peers = [name for name in ("runc", "crun") if shutil.which(name)]
    if not peers:
        h.skip("neither runc nor crun is installed")
    for peer in peers:
        for options in ([], ["--rootless"]):
            folder = c.path(peer + "".join(options))
            os.makedirs(folder + "/rootfs")
            c.command([peer, "spec", *options], cwd=folder).ok()
            path = folder + "/config.json"
            with open(path, encoding="utf-8") as file:
                config = json.load(file)
            config["process"]["terminal"] = False  # else a console socket is missing
            with open(path, "w", encoding="utf-8") as file:
                json.dump(config, file)
            h.eq("", c.rt("plan", folder).ok().err, peer)


if __name__ == "__main__":
    h.main()
