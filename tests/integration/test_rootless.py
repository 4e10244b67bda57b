#!/usr/bin/env python3
"""Containers of an ordinary user, and which of the kernel's rules he is told of."""
import json
import os

import harness as h
import isolation
from bundle import bind, drop_namespace, mount, namespace
from rootless import COUNT, FIRST, UID, User, more_ids


def uid_map(text):
    return [tuple(map(int, line.split())) for line in text.splitlines()]


# ---- what works --------------------------------------------------------------------------------

@h.test("one id: he is root inside, and nobody else is there")
def _(c):
    user = User(c)
    box = user.bundle(["sh", "-c", "id -u; cat /proc/self/uid_map; cat /proc/self/setgroups; "
                       "touch /made && stat -c %u /made"])
    out = user.run(box).ok().out.splitlines()
    h.eq("0", out[0])
    h.eq([(0, UID, 1)], uid_map(out[1]))
    h.eq(["deny", "0"], out[2:])
    h.eq(UID, os.stat(box.file("made")).st_uid)


@h.test("spec --rootless makes a bundle that runs")
def _(c):
    user, folder = User(c), c.path("fresh")
    box = user.bundle(["true"])
    os.mkdir(folder)
    os.chown(folder, UID, UID)
    user.command(*h.runtime(), "spec", "--rootless", cwd=folder).ok()
    os.rename(box.rootfs, folder + "/rootfs")
    path = folder + "/config.json"
    with open(path, encoding="utf-8") as file:
        config = json.load(file)
    config["process"].update(terminal=False, args=["id", "-u"])
    with open(path, "w", encoding="utf-8") as file:
        json.dump(config, file)
    h.eq("0\n", user.rt("run", "-b", folder, "fresh").ok().out)


@h.test("with ids from /etc/subuid: newuidmap and newgidmap map them", needs=("newuidmap",))
def _(c):
    user = User(c, ids=True)
    box = user.bundle(["sh", "-c", "cat /proc/self/uid_map; id -u; id -G"], more_ids,
                      user={"uid": 7, "gid": 8, "additionalGids": [9]})
    out = user.run(box).ok().out.splitlines()
    h.eq([(0, UID, 1), (1, FIRST, COUNT)], uid_map("\n".join(out[:2])))
    h.eq(["7", "8 9"], out[2:])


def with_device(name, minor, **more):
    def edit(config):
        config["linux"]["devices"] = [dict(path=name, type="c", major=1, minor=minor, **more)]
    return edit


@h.test("a device is the host's own, and a wish for another owner or mode is not lost in silence")
def _(c):
    user = User(c)
    done = user.run(user.bundle(["stat", "-c", "%a", "/dev/zero"],
                                with_device("/dev/zero", 5, fileMode=0o600, uid=0, gid=0))).ok()
    h.eq("666\n", done.out)
    h.has("linux.devices[0]", done.err)
    h.has("fileMode, uid and gid are ignored", done.err)
    done = user.run(user.bundle(["true"], with_device("/dev/zero", 5, fileMode=0o666))).ok()
    h.lacks("linux.devices[0]", done.err)


@h.test("a device that the host lacks is refused in words")
def _(c):
    user = User(c)
    user.run(user.bundle(["true"], with_device("/dev/nowhere", 3))).fails(
        r"linux\.devices\[0\].*the host has no such device")


def offset_clock(config):
    namespace(config, "time")
    config["linux"]["timeOffsets"] = {"boottime": {"secs": 1000000, "nanosecs": 5}}


@h.test("clock offsets: his user namespace has a time namespace", needs=("time_namespace",))
def _(c):
    user, line = User(c), ["boottime", "1000000", "5"]
    box = user.bundle(["grep", "boottime", "/proc/self/timens_offsets"], offset_clock)
    h.eq(line, user.run(box).ok().out.split())
    box = user.bundle(["sleep", "1000"], offset_clock)
    user.rt("run", "-d", "-b", box.path, box.id).ok()
    h.eq(line, user.rt("exec", box.id, "grep", "boottime", "/proc/self/timens_offsets").ok().out.split())
    user.rt("delete", "--force", box.id).ok()


@h.test("clock offsets with ids from /etc/subuid", needs=("newuidmap", "time_namespace"))
def _(c):
    user = User(c, ids=True)
    box = user.bundle(["cat", "/proc/self/uid_map", "/proc/self/timens_offsets"],
                      lambda config: (more_ids(config), offset_clock(config)))
    out = user.run(box).ok().out.splitlines()
    h.eq([(0, UID, 1), (1, FIRST, COUNT)], uid_map("\n".join(out[:2])))
    h.eq(["boottime", "1000000", "5"], out[3].split())


@h.test("a single id that is not his own is for newuidmap too", needs=("newuidmap",))
def _(c):
    user = User(c, ids=True)

    def edit(config):
        for key in ("uidMappings", "gidMappings"):
            config["linux"][key] = [{"containerID": 0, "hostID": FIRST, "size": 1}]
    box = user.bundle(["cat", "/proc/self/uid_map"], edit)
    for folder, _, _ in os.walk(box.rootfs):
        os.chown(folder, FIRST, FIRST)
    h.eq([(0, FIRST, 1)], uid_map(user.run(box).ok().out))


@h.test("a bundle without a user namespace gets one, with the ids granted", needs=("newuidmap",))
def _(c):
    h.only_ours("runc refuses it")
    user = User(c, ids=True)
    box = user.bundle(["sh", "-c", "cat /proc/self/uid_map; id -u"], rootless=False)
    done = user.run(box).ok()
    h.eq([(0, UID, 1), (1, FIRST, COUNT)], uid_map("\n".join(done.out.splitlines()[:2])))
    h.has("an ordinary user needs a user namespace; added", done.err)
    h.has("%d more ids are from %d" % (COUNT, FIRST), done.err)


@h.test("... with one id where none are granted, and exec finds its way into it")
def _(c):
    h.only_ours("runc refuses it")
    user = User(c)

    def edit(config):
        for entry in config["mounts"]:
            entry["options"] = [o for o in entry["options"] if not o.startswith("gid=")]
    box = user.bundle(["sh", "-c", "sleep 1000 & wait"], edit, rootless=False)
    done = user.rt("run", "-d", "-b", box.path, box.id, stdin_file=-3).ok()
    h.has("no other id is mapped", done.err)
    h.eq([(0, UID, 1)], uid_map(user.rt("exec", box.id, "cat", "/proc/self/uid_map").ok().out))
    user.rt("kill", box.id, "KILL").ok()
    user.rt("delete", "-f", box.id).ok()


@h.test("a new user namespace without mappings gets them")
def _(c):
    h.only_ours("runc refuses it")
    user = User(c)

    def edit(config):
        del config["linux"]["uidMappings"], config["linux"]["gidMappings"]
    done = user.run(user.bundle(["cat", "/proc/self/uid_map"], edit)).ok()
    h.eq([(0, UID, 1)], uid_map(done.out))
    h.has("linux.uidMappings: not set", done.err)


@h.test("the whole life of a container, state, list, exec, and signals")
def _(c):
    user = User(c)
    box = user.bundle(["sh", "-c", "trap 'exit 3' TERM; sleep 1000 & wait"])
    user.rt("create", "-b", box.path, box.id).ok()
    user.rt("start", box.id).ok()
    h.eq("running", json.loads(user.rt("state", box.id).ok().out)["status"])
    h.has(box.id, user.rt("list").ok().out)
    h.eq("0\n", user.rt("exec", box.id, "id", "-u").ok().out)
    user.rt("delete", box.id).fails("running")
    user.rt("kill", box.id, "TERM").ok()
    h.until(lambda: "stopped" in user.rt("state", box.id).out, "the end")
    user.rt("delete", box.id).ok()
    h.eq([], [name for name in os.listdir(user.root) if name[0] != "."])


@h.test("/sys without a network namespace is the host's; masks and read-only paths hold")
def _(c):
    user = User(c)
    box = user.bundle(["sh", "-c", "ls -d /sys/kernel; cat /proc/kcore | wc -c; "
                       "touch /sys/x 2>&1; echo 1 > /proc/sys/kernel/pid_max"])
    done = user.run(box)
    h.match(r"^/sys/kernel\n0\n", done.out)
    h.match("Read-only|denied", done.out + done.err)


@h.test("devices are the host's, by bind")
def _(c):
    user = User(c)
    box = user.bundle(["sh", "-c", "echo x > /dev/null; head -c 4 /dev/zero | wc -c; ls -l /dev/null"])
    h.match(r"^4\ncrw", user.run(box).ok().out)


@h.test("a configured /dev/ptmx is the link, as in every container")
def _(c):
    user = User(c)
    box = user.bundle(["readlink", "/dev/ptmx"], lambda config: config["linux"].update(
        devices=[{"type": "c", "path": "/dev/ptmx", "major": 5, "minor": 2}]))
    h.eq("pts/ptmx\n", user.run(box).ok().out)


@h.test("lowering oom_score_adj is a warning")
def _(c):
    user = User(c)
    done = user.run(user.bundle(["true"], lambda config: config["process"].update(
        oomScoreAdj=-500))).ok()
    h.only_ours("our words")
    h.has("CAP_SYS_RESOURCE", done.err)


# ---- cgroups -----------------------------------------------------------------------------------

@h.test("no cgroup may be made: it goes without, and says which rule it was")
def _(c):
    user = User(c)
    done = user.run(user.bundle(["true"])).ok()
    h.only_ours("others say nothing")
    h.has("Delegat", done.err)


@h.test("... but limits and a place that were asked for are an error, and so is --rootless=false")
def _(c):
    h.only_ours("our words")
    user = User(c)
    box = user.bundle(["true"], lambda config: config["linux"].update(cgroupsPath="/mine"))
    user.run(box).fails("cgroup.*permission denied.*delegated")
    box = user.bundle(["true"], lambda config: config["linux"].update(
        resources={"pids": {"limit": 10}}))
    user.run(box).fails("pids|cgroup")
    user.rt("run", "-b", user.bundle(["true"]).path, "x", options=("--rootless=false",)).fails(
        "cgroup")
    h.eq([], [name for name in os.listdir(user.root) if name[0] != "."])


@h.test("in a delegated cgroup he makes his own, and it is gone in the end")
def _(c):
    user = User(c)
    top = isolation.CGROUP + "/user"
    os.mkdir(top)
    os.mkdir(top + "/self")
    for folder in (top, top + "/self"):
        for name in ("", "/cgroup.procs", "/cgroup.subtree_control", "/cgroup.threads"):
            os.chown(folder + name, UID, UID)
    try:
        box = user.bundle(["cat", "/proc/self/cgroup"], lambda config: (
            config["linux"].update(cgroupsPath="/user/box"), drop_namespace(config, "cgroup")))
        done = user.c.command(["sh", "-c", "echo $$ > %s/self/cgroup.procs && exec \"$@\"" % top,
                               "sh", "setpriv", "--reuid", str(UID), "--regid", str(UID),
                               "--clear-groups", *h.runtime(), "--root", user.root, "run", "-b",
                               box.path, box.id], env=user.env)
        h.eq("/user/box", h.own_cgroup(done.ok().out))
        h.eq(["self"], [n for n in os.listdir(top) if os.path.isdir(top + "/" + n)])
    finally:
        os.rmdir(top + "/self")
        os.rmdir(top)


# ---- what is refused, and why ------------------------------------------------------------------

def refused(name, edit, *words, **user_facts):
    @h.test("refused, with the rule: " + name)
    def _(c):
        h.only_ours("our words")
        user = User(c, **user_facts)
        done = user.run(user.bundle(["true"], edit)).fails()
        for word in words:
            h.has(word, done.err)


refused("an id in a mount's options that is not mapped",
        lambda config: config["mounts"][2]["options"].append("gid=5"),
        "mounts[2].options", "gid=5 is not mapped by linux.gidMappings")
refused("a group that is not mapped",
        lambda config: config["process"]["user"].update(additionalGids=[5]),
        "process.user.additionalGids[0]", "not mapped")
refused("additional groups where setgroups is denied",
        lambda config: config["process"]["user"].update(additionalGids=[0]),
        "setgroups is denied in a user namespace that an ordinary user has mapped himself")
refused("a user that is not mapped",
        lambda config: config["process"]["user"].update(uid=5), "process.user.uid", "not mapped")
refused("procfs without a pid namespace of its own",
        lambda config: drop_namespace(config, "pid"),
        "procfs needs a pid namespace that belongs to it")
refused("mqueue without an ipc namespace of its own",
        lambda config: drop_namespace(config, "ipc"), "mqueue needs an ipc namespace")
refused("a file system that user namespaces do not have",
        lambda config: config["mounts"].append(mount("/disk", "ext4", "/dev/null")),
        "few file systems can be mounted in a user namespace")
refused("a network device",
        lambda config: (namespace(config, "network"), config["linux"].update(
            netDevices={"eth0": {}})), "CAP_NET_ADMIN")
refused("an idmapped mount",
        lambda config: config["mounts"].append(bind("/tmp", "/x", "idmap")), "CAP_SYS_ADMIN")
refused("a hard limit above his own",
        lambda config: config["process"].update(rlimits=[
            {"type": "RLIMIT_NOFILE", "hard": 1 << 30, "soft": 1 << 30}]), "CAP_SYS_RESOURCE")
refused("a real-time policy",
        lambda config: config["process"].update(scheduler={
            "policy": "SCHED_FIFO", "priority": 10}), "CAP_SYS_NICE")
refused("ids that he was not granted",
        lambda config: config["linux"].update(uidMappings=[
            {"containerID": 0, "hostID": 1, "size": 10}]), "/etc/subuid")


@h.test("refused, with the rule: procfs where parts of /proc are hidden")
def _(c):
    h.only_ours("our words")
    user = User(c)
    isolation.mount("tmpfs", "/proc/irq", "tmpfs")
    try:
        user.run(user.bundle(["true"])).fails("parts of /proc are hidden")
        box = user.bundle(["cat", "/proc/self/uid_map"], lambda config: config["mounts"].__setitem__(
            0, bind("/proc", "/proc", "rbind")))
        user.run(box).ok()
    finally:
        isolation.umount("/proc/irq")


@h.test("refused, with the rule: a bind that would show what is hidden below, or lose a lock")
def _(c):
    h.only_ours("our words")
    user = User(c)
    folder = c.path("volume")
    os.mkdir(folder)
    isolation.mount("tmpfs", folder, "tmpfs", 1)  # MS_RDONLY
    try:
        box = user.bundle(["true"], lambda config: config["mounts"].append(
            bind(folder, "/v", "rw")))
        user.run(box).fails("locked")
        box = user.bundle(["true"], lambda config: config["mounts"].append(bind(folder, "/v")))
        user.run(box).ok()
    finally:
        isolation.umount(folder)


@h.test("refused, with the rule: a root file system that he cannot reach")
def _(c):
    h.only_ours("our words")
    user = User(c, ids=False)
    hidden = c.path("hidden")
    os.mkdir(hidden, 0o700)
    box = user.bundle(["true"])
    os.rename(box.rootfs, hidden + "/rootfs")
    box.config["root"]["path"] = hidden + "/rootfs"
    box.write()
    user.run(box).fails("reachable for the container's root|permission denied")


@h.test("refused, with the rule: no user namespaces for anybody")
def _(c):
    h.only_ours("our words")
    user = User(c)
    path = "/proc/sys/user/max_user_namespaces"
    with open(path, encoding="ascii") as file:
        before = file.read()
    if not os.path.exists("/proc/sys/user"):
        h.skip("no user.max_user_namespaces")
    # In a user namespace of its own, so that nobody else notices the limit.
    argv = ["unshare", "--user", "--map-root-user", "sh", "-c",
            "echo 0 > %s && exec \"$@\"" % path, "sh"]
    box = user.bundle(["true"])
    done = user.command(*argv, *h.runtime(), "--root", user.root, "run", "-b", box.path, box.id)
    with open(path, encoding="ascii") as file:
        h.eq(before, file.read())
    done.fails("max_user_namespaces")


if __name__ == "__main__":
    h.main()
