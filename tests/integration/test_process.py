#!/usr/bin/env python3
"""process: user, groups, capabilities, limits, umask, scheduling, environment, directory."""
import os

import harness as h
from bundle import cap_sets, user_namespace

CHOWN, KILL, SETUID, NET_BIND, SYS_CHROOT = 0, 5, 7, 10, 18


def caps(c, args=("grep", "^Cap", "/proc/self/status"), **process):
    text = c.check_output(list(args), **process)
    return {line.split(":")[0][3:]: int(line.split()[1], 16) for line in text.splitlines()}


def bits(*numbers):
    return sum(1 << n for n in numbers)


@h.test("uid, gid and supplementary groups are exactly the config's")
def _(c):
    out = c.check_output(["grep", "-E", "^(Uid|Gid|Groups)", "/proc/self/status"],
                         user={"uid": 1234, "gid": 2345, "additionalGids": [5, 6, 70000]})
    h.eq(["Uid:", "1234", "1234", "1234", "1234", "Gid:", "2345", "2345", "2345", "2345",
          "Groups:", "5", "6", "70000"], out.split())


@h.test("without additionalGids there are none of the caller's")
def _(c):
    old = os.getgroups()
    os.setgroups([4242, 4243])
    try:
        out = c.check_output(["grep", "^Groups", "/proc/self/status"], user={"uid": 1, "gid": 1})
    finally:
        os.setgroups(old)
    h.lacks("424", out)


@h.test("capability sets are exactly the config's")
def _(c):
    names = {"bounding": ["CAP_KILL", "CAP_CHOWN", "CAP_SYS_CHROOT"],
             "permitted": ["CAP_KILL", "CAP_CHOWN"], "effective": ["CAP_KILL"],
             "inheritable": ["CAP_CHOWN", "CAP_KILL"], "ambient": ["CAP_KILL"]}
    # A program that root starts gains the bounding set; what the runtime set is seen as non-root.
    found = caps(c, capabilities=names, user={"uid": 1000, "gid": 1000})
    h.eq(bits(KILL, CHOWN, SYS_CHROOT), found["Bnd"])
    h.eq(bits(KILL, CHOWN), found["Inh"])
    h.eq(bits(KILL), found["Amb"])
    h.eq((bits(KILL), bits(KILL)), (found["Prm"], found["Eff"]))


@h.test("root has what is in its sets and no more")
def _(c):
    found = caps(c, capabilities=cap_sets(["CAP_CHOWN", "CAP_SETUID"]))
    want = bits(CHOWN, SETUID)
    h.eq({"Inh": 0, "Prm": want, "Eff": want, "Bnd": want, "Amb": 0}, found)


@h.test("no capabilities member means none at all")
def _(c):
    def edit(config):
        del config["process"]["capabilities"]
    found = {}
    for line in c.check_output(["grep", "^Cap", "/proc/self/status"], edit).splitlines():
        found[line.split(":")[0][3:]] = int(line.split()[1], 16)
    if h.is_ours():
        h.eq({"Inh": 0, "Prm": 0, "Eff": 0, "Bnd": 0, "Amb": 0}, found)


@h.test("an unknown capability is a warning, not a failure (runtime-spec)")
def _(c):
    names = cap_sets(["CAP_KILL"])
    names["bounding"].append("CAP_PINK")
    box = c.bundle(["echo", "ran"], capabilities=names)
    done = c.run(box).ok()
    h.eq("ran\n", done.out)


@h.test("noNewPrivileges is set or not as the config says")
def _(c):
    for value in (True, False):
        out = c.check_output(["grep", "NoNewPrivs", "/proc/self/status"], noNewPrivileges=value)
        h.eq(str(int(value)), out.split()[1])


@h.test("rlimits are set")
def _(c):
    limits = [{"type": "RLIMIT_NOFILE", "hard": 777, "soft": 333},
              {"type": "RLIMIT_CORE", "hard": 0, "soft": 0},
              {"type": "RLIMIT_STACK", "hard": 9 << 20, "soft": 8 << 20},
              {"type": "RLIMIT_NPROC", "hard": 4000, "soft": 3000}]
    rows = {line[:25].strip(): line[25:].split() for line in
            c.check_output(["cat", "/proc/self/limits"], rlimits=limits).splitlines()}
    h.eq(["333", "777"], rows["Max open files"][:2])
    h.eq(["0", "0"], rows["Max core file size"][:2])
    h.eq([str(8 << 20), str(9 << 20)], rows["Max stack size"][:2])
    h.eq(["3000", "4000"], rows["Max processes"][:2])


@h.test("rlimits: unknown type, the same type twice, soft above hard are refused")
def _(c):
    c.run(c.bundle(["true"], rlimits=[{"type": "RLIMIT_PINK", "hard": 1, "soft": 1}])).fails()
    c.run(c.bundle(["true"], rlimits=[{"type": "RLIMIT_CORE", "hard": 1, "soft": 2}])).fails()
    if h.is_ours():
        c.run(c.bundle(["true"], rlimits=[{"type": "RLIMIT_CORE", "hard": 1, "soft": 1},
                                          {"type": "RLIMIT_CORE", "hard": 2, "soft": 2}])).fails()


@h.test("rlimits hold for an exec")
def _(c):
    box = c.up(c.sleeper(rlimits=[{"type": "RLIMIT_NOFILE", "hard": 100, "soft": 99}]))
    h.eq("99\n", c.exec(box, "sh", "-c", "ulimit -n").ok().out)


@h.test("a hard limit can be raised above the caller's", needs=("sys_resource",))
def _(c):
    h.eq("200000\n", c.check_output(["sh", "-c", "ulimit -n"], rlimits=[
        {"type": "RLIMIT_NOFILE", "hard": 200000, "soft": 200000}]))


@h.test("umask is the config's, else 0022 whatever the caller's is")
def _(c):
    old = os.umask(0o007)
    try:
        h.eq("0022\n", c.check_output(["probe", "umask"]))
        if h.is_ours():
            h.eq("0077\n", c.check_output(["probe", "umask"],
                                          user={"uid": 0, "gid": 0, "umask": 0o077}))
            h.eq("0000\n", c.check_output(["probe", "umask"],
                                          user={"uid": 0, "gid": 0, "umask": 0}))
    finally:
        os.umask(old)


@h.test("oomScoreAdj is set, else inherited")
def _(c):
    h.eq("500\n", c.check_output(["cat", "/proc/self/oom_score_adj"], oomScoreAdj=500))
    with open("/proc/self/oom_score_adj", encoding="ascii") as file:
        mine = file.read()
    h.eq(mine, c.check_output(["cat", "/proc/self/oom_score_adj"]))


@h.test("oomScoreAdj out of range is refused")
def _(c):
    c.run(c.bundle(["true"], oomScoreAdj=1001)).fails()


@h.test("scheduler: batch, idle and nice")
def _(c):
    h.only_ours("newer than others")
    for scheduler, want in (({"policy": "SCHED_BATCH", "nice": 3}, "policy=3 flags=0 nice=3"),
                            ({"policy": "SCHED_IDLE"}, "policy=5"),
                            ({"policy": "SCHED_OTHER", "nice": 7}, "policy=0 flags=0 nice=7"),
                            ({"policy": "SCHED_OTHER", "nice": -3}, "policy=0 flags=0 nice=-3")):
        h.has(want, c.check_output(["probe", "sched"], scheduler=scheduler))


@h.test("scheduler: real time with a priority, reset on fork")
def _(c):
    h.only_ours("newer than others")
    done = c.run(c.bundle(["probe", "sched"], scheduler={
        "policy": "SCHED_FIFO", "priority": 5, "flags": ["SCHED_FLAG_RESET_ON_FORK"]}))
    if done.status and "not permitted" in done.err:
        h.skip("real-time scheduling is not permitted in this cgroup")
    h.has("policy=1 flags=1 nice=0 priority=5", done.ok().out)


@h.test("scheduler: values that make no sense are refused")
def _(c):
    h.only_ours("newer than others")
    for scheduler in ({"policy": "SCHED_PINK"}, {}, {"policy": "SCHED_OTHER", "nice": 20},
                      {"policy": "SCHED_OTHER", "priority": 5},
                      {"policy": "SCHED_FIFO", "runtime": 5},
                      {"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_PINK"]}):
        c.run(c.bundle(["true"], scheduler=scheduler)).fails()


@h.test("ioPriority is set")
def _(c):
    h.only_ours("newer than others")
    for name, number in (("IOPRIO_CLASS_BE", 2), ("IOPRIO_CLASS_IDLE", 3)):
        out = c.check_output(["probe", "ioprio"], ioPriority={"class": name, "priority": 4})
        h.eq("class=%d priority=4\n" % number, out)
    for bad in ({"class": "IOPRIO_CLASS_BE", "priority": 8}, {"class": "PINK", "priority": 1}):
        c.run(c.bundle(["true"], ioPriority=bad)).fails()


@h.test("the caller's CPU affinity is not inherited")
def _(c):
    h.only_ours("newer than others")
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        box = c.up(c.sleeper())
        h.eq(before, {int(n) for n in c.exec(box, "probe", "affinity").ok().out.split()})
        h.eq(before, {int(n) for n in c.check_output(["probe", "affinity"]).split()})
    finally:
        os.sched_setaffinity(0, before)


@h.test("execCPUAffinity.final binds an exec, not the container")
def _(c):
    h.only_ours("newer than others")
    box = c.up(c.sleeper(execCPUAffinity={"initial": "0", "final": "0"}))
    h.eq("0 \n", c.exec(box, "probe", "affinity").ok().out)
    c.run(c.bundle(["true"], execCPUAffinity={"final": "pink"})).fails()


@h.test("memoryPolicy is set")
def _(c):
    h.only_ours("newer than others")
    out = c.check_output(["probe", "mempolicy"], lambda cfg: cfg["linux"].update(
        memoryPolicy={"mode": "MPOL_BIND", "nodes": "0"}))
    h.eq("mode=2 nodes=1\n", out)
    c.run(c.bundle(["true"], lambda cfg: cfg["linux"].update(
        memoryPolicy={"mode": "MPOL_PINK"}))).fails()


@h.test("personality is set")
def _(c):
    h.only_ours("newer than others")
    h.eq("8\n", c.check_output(["probe", "personality"], lambda cfg: cfg["linux"].update(
        personality={"domain": "LINUX32"})))
    h.has("i686", c.check_output(["uname", "-m"], lambda cfg: cfg["linux"].update(
        personality={"domain": "LINUX32"})))
    c.run(c.bundle(["true"], lambda cfg: cfg["linux"].update(
        personality={"domain": "PINK"}))).fails()


@h.test("each container has a session keyring of its own, unless --no-new-keyring")
def _(c):
    own = c.command([os.environ.get("PROBE") or "probe", "keyring"]) if os.environ.get(
        "PROBE") else None
    one, two = c.check_output(["probe", "keyring"]), c.check_output(["probe", "keyring"])
    h.match(r"^\d+$", one)
    h.true(one != two, "two containers share a keyring")
    if own:
        h.true(one != own.out, "the container has the host's keyring")
        box = c.bundle(["probe", "keyring"])
        h.eq(own.out, c.run(box, "--no-new-keyring").ok().out)


@h.test("environment: as written, last one wins, HOME from the image's passwd")
def _(c):
    box = c.bundle(["env"], env=["PATH=/bin", "A=1", "EMPTY=", "EQ=a=b", "A=2"],
                   user={"uid": 1000, "gid": 1000})
    lines = c.run(box).ok().out.splitlines()
    for want in ("A=2", "EMPTY=", "EQ=a=b", "PATH=/bin"):
        h.true(want in lines, "%s is missing in %s" % (want, lines))
    if h.is_ours():
        h.eq(1, sum(line.startswith("A=") for line in lines))
        h.true("HOME=/home/user" in lines, "HOME is missing in %s" % lines)


@h.test("HOME of a user who may not read /etc/passwd, but never of what lies outside the rootfs")
def _(c):
    def edit(uid, mapped):
        def change(config):
            config["process"].update(user={"uid": uid, "gid": uid}, env=["PATH=/bin"])
            if mapped:
                user_namespace(config)
        return change
    for mapped in (False, True):
        for hide in ("file", "folder", "root"):
            box = c.bundle(["sh", "-c", "echo $HOME"], edit(1000, mapped))
            if mapped:
                box.give(100000)
                os.chown(box.file("etc/passwd"), 100000, 100000)
            os.chmod(box.file("etc/passwd"), 0o000 if hide == "root" else 0o600)
            if hide == "folder":
                os.chmod(box.file("etc"), 0o700)
            h.eq("/home/user\n", c.run(box).ok().out, "%s %s" % (hide, mapped))
    outside = c.path("passwd")
    with open(outside, "w", encoding="ascii") as file:
        file.write("x:x:1000:1000::/outside:/bin/sh\n")
    for target in (outside, "../" * 20 + outside):
        box = c.bundle(["sh", "-c", "echo $HOME"], edit(1000, False))
        os.unlink(box.file("etc/passwd"))
        os.symlink(target, box.file("etc/passwd"))
        h.eq("/\n", c.run(box).ok().out, target)


@h.test("HOME of exec's user who may not read /etc/passwd")
def _(c):
    box = c.sleeper(env=["PATH=/bin"])
    os.chmod(box.file("etc"), 0o700)
    c.up(box)
    h.eq("/home/user\n", c.exec(box, "sh", "-c", "echo $HOME", options=["-u", "1000:1000"]).ok().out)


@h.test("malformed environment is refused")
def _(c):
    for entry in ("NOEQUALS", "=x", ""):
        done = c.run(c.bundle(["true"], env=["PATH=/bin", entry]))
        if h.is_ours():
            done.fails("env")


@h.test("the program is looked up in the container's PATH")
def _(c):
    box = c.bundle(["tool"], env=["PATH=/nowhere:/opt/tools:/bin"])
    box.put("opt/tools/tool", "#!/bin/sh\necho found\n", 0o755)
    h.eq("found\n", c.run(box).ok().out)
    c.run(c.bundle(["sh"], env=["PATH=/nowhere"])).fails("executable file not found in")


@h.test("a relative program path is relative to cwd")
def _(c):
    box = c.bundle(["./tool"], cwd="/opt")
    box.put("opt/tool", "#!/bin/sh\npwd\n", 0o755)
    h.eq("/opt\n", c.run(box).ok().out)


@h.test("cwd is made when it is missing, and must be absolute")
def _(c):
    h.eq("/new/deep/dir\n", c.check_output(["pwd"], cwd="/new/deep/dir"))
    for cwd in ("relative", "", "."):
        c.run(c.bundle(["true"], cwd=cwd)).fails()


@h.test("a cwd that the user may enter though root of the container may not, and back")
def _(c):
    box = c.bundle(["pwd"], cwd="/private", user={"uid": 1000, "gid": 1000})
    os.mkdir(box.file("private"))
    os.chown(box.file("private"), 1000, 1000)
    os.chmod(box.file("private"), 0o700)
    h.eq("/private\n", c.run(box).ok().out)
    box = c.bundle(["true"], cwd="/etc/passwd")
    c.run(box).fails('chdir to cwd \\("/etc/passwd"\\) set in config.json failed: not a directory')


@h.test("signal mask and dispositions of the caller are not inherited")
def _(c):
    import signal
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGTERM])
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    try:
        out = c.check_output(["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"])
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1, signal.SIGTERM])
        signal.signal(signal.SIGUSR2, signal.SIG_DFL)
    if h.is_ours():
        h.eq(["SigBlk:", "0" * 16, "SigIgn:", "0" * 16], out.split())


@h.test("the program starts without parent-death signal and securebits")
def _(c):
    h.eq("0\n", c.check_output(["probe", "pdeathsig"]))
    h.eq("0\n", c.check_output(["probe", "securebits"]))


@h.test("many long arguments and variables arrive")
def _(c):
    args = ["sh", "-c", "echo $#; echo ${#1}; echo ${#V499}", "sh"] + ["x" * 1000] * 1000
    box = c.bundle(args, env=["PATH=/bin"] + ["V%d=%s" % (i, "y" * 500) for i in range(500)])
    h.eq("1000\n1000\n500\n", c.run(box).ok().out)


if __name__ == "__main__":
    h.main()
