#!/usr/bin/env python3
"""exec: another process in a container that runs."""
import json
import os
import time

import harness as h


@h.test("exec runs in the container's namespaces, root and cgroup")
def _(c):
    box = c.up(c.sleeper())
    pid = c.state(box)["pid"]
    out = c.exec(box, "sh", "-c",
                 "for n in pid net ipc uts mnt cgroup; do readlink /proc/self/ns/$n; done").ok().out
    want = [os.readlink("/proc/%d/ns/%s" % (pid, n))
            for n in ("pid", "net", "ipc", "uts", "mnt", "cgroup")]
    h.eq(want, out.split())
    h.eq("coracle\n", c.exec(box, "hostname").ok().out)
    h.eq("/", h.own_cgroup(c.exec(box, "cat", "/proc/self/cgroup").ok().out))


@h.test("exec returns the command's exit status")
def _(c):
    box = c.up(c.sleeper())
    for status in (0, 1, 7, 255):
        h.eq(status, c.exec(box, "sh", "-c", "exit %d" % status).status)
    h.eq(137, c.exec(box, "sh", "-c", "kill -KILL $$").status)
    h.eq(143, c.exec(box, "sh", "-c", "kill -TERM $$").status)


@h.test("exec passes stdin, stdout and stderr through")
def _(c):
    box = c.up(c.sleeper())
    done = c.exec(box, "sh", "-c", "cat; echo err >&2", stdin="words\n").ok()
    h.eq(("words\n", "err\n"), (done.out, done.err))


@h.test("options after the command are the command's")
def _(c):
    box = c.up(c.sleeper())
    done = c.exec(box, "printf", "%s %s %s %s\\n", "-n", "--user", "x", "-d").ok()
    h.eq("-n --user x -d\n", done.out)


@h.test("exec in an unknown, created or stopped container fails with 255")
def _(c):
    status = 255 if h.is_ours() else None
    c.rt("exec", "nobody", "true").fails("does not exist", status=status)
    box = c.bundle(["true"])
    c.create(box)
    c.start(box)
    c.wait_stopped(box)
    done = c.exec(box, "true").fails(status=status)
    if h.is_ours():
        h.has("cannot exec in a stopped container", done.err)


@h.test("a command that does not exist fails with 255 and the words engines look for")
def _(c):
    box = c.up(c.sleeper())
    c.exec(box, "no-such-program").fails("executable file not found in", status=255)
    c.exec(box, "/no/such/program").fails("no such file or directory", status=255)
    c.exec(box, "true", options=["--cwd", "/absent"]).fails(
        'chdir to cwd \\("/absent"\\) set in config.json failed: no such file', status=255)
    # Engines make 126 of "permission denied", for a folder too.
    c.exec(box, "/bin").fails('exec: "/bin": is a directory: permission denied', status=255)


@h.test("--cwd, --env and --user change those and nothing else")
def _(c):
    box = c.up(c.sleeper())
    out = c.exec(box, "sh", "-c", "pwd; id -u; id -g; echo $A-$B; echo $TERM",
                 options=["--cwd", "/tmp", "-e", "A=1", "-e", "B=2", "--user", "1000:1001"]
                 ).ok().out
    h.eq(["/tmp", "1000", "1001", "1-2", "xterm"], out.split())


@h.test("--env and -e are the same")
def _(c):
    box = c.up(c.sleeper())
    for name in ("-e", "--env"):
        h.eq("1\n", c.exec(box, "sh", "-c", "echo $A", options=[name, "A=1"]).ok().out)


@h.test("--env wins over the container's")
def _(c):
    box = c.up(c.sleeper())
    h.eq("dumb\n", c.exec(box, "sh", "-c", "echo $TERM", options=["-e", "TERM=dumb"]).ok().out)


@h.test("--additional-gids are the supplementary groups")
def _(c):
    box = c.up(c.sleeper())
    out = c.exec(box, "id", "-G", options=["-u", "1000:1000", "-g", "2000", "-g", "3000"]).ok().out
    h.eq({"1000", "2000", "3000"}, set(out.split()))


@h.test("exec without --additional-gids as another user drops the container's groups or keeps "
        "config's, never the caller's")
def _(c):
    box = c.up(c.sleeper())
    out = c.exec(box, "grep", "Groups", "/proc/self/status", options=["-u", "1000:1000"]).ok().out
    h.true(out.split()[1:] in ([], ["1000"]), "groups are %r" % out)


@h.test("--process FILE is a whole process description")
def _(c):
    box = c.up(c.sleeper())
    with open(c.path("process.json"), "w", encoding="ascii") as file:
        json.dump({"args": ["sh", "-c", "pwd; id -u; echo $X"], "cwd": "/var", "env": [
            "PATH=/bin", "X=from file"], "user": {"uid": 1000, "gid": 1000}}, file)
    h.eq("/var\n1000\nfrom file\n", c.rt("exec", "--process", c.path("process.json"), box.id
                                         ).ok().out)
    h.eq("/var\n1000\nfrom file\n", c.rt("exec", "-p", c.path("process.json"), box.id).ok().out)


@h.test("a bad --process file is refused")
def _(c):
    box = c.up(c.sleeper())
    for text in ("", "[]", "null", '{"args": []}', '{"args": ["true"]}', '{"args": "true"}'):
        with open(c.path("process.json"), "w", encoding="ascii") as file:
            file.write(text)
        c.rt("exec", "--process", c.path("process.json"), box.id).fails()
    c.rt("exec", "--process", c.path("missing"), box.id).fails()
    c.rt("exec", box.id).fails()


@h.test("--detach returns at once and writes --pid-file")
def _(c):
    box = c.up(c.sleeper())
    start = time.monotonic()
    c.exec(box, "sleep", "1000", options=["-d", "--pid-file", c.path("pid")]).ok()
    h.true(time.monotonic() - start < 5, "it waited")
    pid = int(open(c.path("pid"), encoding="ascii").read())
    with open("/proc/%d/cmdline" % pid, encoding="ascii") as file:
        h.eq("sleep\x001000\x00", file.read())


@h.test("an exec'ed process goes with its container")
def _(c):
    box = c.up(c.sleeper())
    c.exec(box, "sleep", "1000", options=["-d", "--pid-file", c.path("pid")]).ok()
    pid = int(open(c.path("pid"), encoding="ascii").read())
    c.kill(box, "KILL")
    c.wait_stopped(box)
    h.until(lambda: not os.path.exists("/proc/%d/cmdline" % pid) or not open(
        "/proc/%d/cmdline" % pid, encoding="ascii").read(), "the exec'ed process to go")


@h.test("capabilities of an exec are the container's, --cap adds")
def _(c):
    box = c.up(c.sleeper())

    def caps(*options):
        text = c.exec(box, "grep", "^Cap", "/proc/self/status", options=options).ok().out
        return {line.split()[0]: int(line.split()[1], 16) for line in text.splitlines()}

    base = 1 << 29 | 1 << 5 | 1 << 10
    have = caps()
    h.eq((base, base, base), (have["CapPrm:"], have["CapEff:"], have["CapBnd:"]))
    h.eq((0, 0), (have["CapInh:"], have["CapAmb:"]))
    more = caps("--cap", "CAP_SYS_CHROOT")
    h.true(more["CapEff:"] >> 18 & 1, "CAP_SYS_CHROOT was not added")
    h.eq(0, more["CapInh:"], "inheritable (CVE-2022-29162)")


@h.test("an unprivileged exec has no effective capabilities")
def _(c):
    box = c.up(c.sleeper())
    out = c.exec(box, "grep", "^CapEff", "/proc/self/status", options=["-u", "1000"]).ok().out
    h.eq(0, int(out.split()[1], 16))


@h.test("--no-new-privs is set, else the container's value holds")
def _(c):
    box = c.up(c.sleeper(noNewPrivileges=False))
    look = ["grep", "NoNewPrivs", "/proc/self/status"]
    h.eq("0", c.exec(box, *look).ok().out.split()[1])
    h.eq("1", c.exec(box, *look, options=["--no-new-privs"]).ok().out.split()[1])


@h.test("exec in a paused container is refused, --ignore-paused overrides")
def _(c):
    box = c.up(c.sleeper())
    c.rt("pause", box.id).ok()
    try:
        c.exec(box, "true").fails("paused")
    finally:
        c.rt("resume", box.id).ok()
    c.exec(box, "true").ok()


def members(cgroup):
    with open(cgroup + "/cgroup.procs", encoding="ascii") as file:
        return file.read().split()


@h.test("--ignore-paused waits for resume, and does not keep resume waiting")
def _(c):
    box = c.up(c.sleeper())
    c.rt("pause", box.id).ok()
    before = len(members(c.cgroup(box)))
    waiting = c.background("exec", "--ignore-paused", box.id, "touch", "/ran")
    h.until(lambda: len(members(c.cgroup(box))) > before, "the frozen process")
    h.true(not os.path.exists(box.file("ran")), "it ran in a paused container")
    h.true(c.rt("resume", box.id).ok().seconds < 5, "resume had to wait")
    h.eq(0, waiting.wait(10))
    h.true(os.path.exists(box.file("ran")), "it did not run")


@h.test("exec finds a container that left its cgroup, which then was removed")
def _(c):
    h.only_ours("runc since 1.4")
    box = c.up(c.bundle(["sh", "-c", "echo up; exec sleep 1000"]))
    old = c.cgroup(box)
    new = old + "-new"
    os.mkdir(new)
    for pid in members(old):
        with open(new + "/cgroup.procs", "w", encoding="ascii") as file:
            file.write(pid)
    os.rmdir(old)
    where = c.exec(box, "sh", "-c", "cat /proc/self/cgroup > /where")
    os.mkdir(old)
    c.kill(box, "KILL")
    c.wait_stopped(box)
    h.until(lambda: not members(new), "the end")
    os.rmdir(new)
    where.ok()


@h.test("a missing interpreter is told in the words that engines know, and by name")
def _(c):
    box = c.bundle(["sh", "-c", "echo up; sleep 1000"])
    with open(box.file("run.sh"), "w", encoding="ascii") as file:
        file.write("#!/mmnnttbb foo\n")
    os.chmod(box.file("run.sh"), 0o755)
    done = c.exec(c.up(box), "/run.sh").fails("exec /run.sh: no such file or directory")
    if h.is_ours():
        h.has("/mmnnttbb", done.err)


@h.test("only the standard descriptors are open in an exec")
def _(c):
    box = c.up(c.sleeper())
    read_end, write_end = os.pipe()
    os.set_inheritable(read_end, True)
    h.eq("0 1 2 \n", c.exec(box, "probe", "fds", close_fds=False).ok().out)
    os.close(read_end)
    os.close(write_end)


@h.test("--preserve-fds hands descriptors through")
def _(c):
    box = c.up(c.sleeper())
    read_end, write_end = os.pipe()
    os.write(write_end, b"through\n")
    os.close(write_end)
    os.dup2(read_end, 3)
    os.set_inheritable(3, True)
    done = c.exec(box, "sh", "-c", "cat <&3", options=["--preserve-fds", "1"], pass_fds=[3])
    h.eq("through\n", done.ok().out)
    os.close(3)


@h.test("a hundred execs, half of them at a time")
def _(c):
    box = c.up(c.sleeper())
    for _ in range(50):
        c.exec(box, "true").ok()
    children = [c.background("exec", box.id, "true") for _ in range(50)]
    h.eq([0] * 50, [child.wait(20) for child in children])


@h.test("--cgroup PATH puts the process into a sub-cgroup that exists")
def _(c):
    box = c.up(c.sleeper())
    sub = c.cgroup(box) + "/sub"
    os.mkdir(sub)
    h.eq("/sub", h.own_cgroup(c.exec(box, "cat", "/proc/self/cgroup",
                                     options=["--cgroup", "sub"]).ok().out))
    c.exec(box, "true", options=["--cgroup", "absent"]).fails()
    c.exec(box, "true", options=["--cgroup", "../.."]).fails()


@h.test("exec keeps to a cgroup that delegates: it joins where init is", needs=("hugetlb",))
def _(c):
    box = c.bundle(["sh", "-c", "mkdir /sys/fs/cgroup/leaf && echo 0 > "
                    "/sys/fs/cgroup/leaf/cgroup.procs && echo +hugetlb > "
                    "/sys/fs/cgroup/cgroup.subtree_control && echo up; sleep 1000"])
    # With a limit the runtime has to hand the controller down to this cgroup.
    box.config["linux"]["resources"]["hugepageLimits"] = [{"pageSize": "2MB", "limit": 4 << 20}]
    for mount in box.config["mounts"]:
        if mount["type"] == "cgroup":
            mount["options"].remove("ro")
    box.write()
    c.create(box)
    c.start(box)
    h.until(lambda: "up" in c.output(box), "up")
    done = c.exec(box, "cat", "/proc/self/cgroup")
    if not h.is_ours() and done.status:
        h.skip("this runtime does not fall back")
    h.eq("/leaf", h.own_cgroup(done.ok().out))


if __name__ == "__main__":
    h.main()
