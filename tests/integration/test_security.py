#!/usr/bin/env python3
"""One test a published vulnerability of runtimes that does not turn on a path (those are in
test_security_paths.py); each also wants a positive sign of life, so that a runtime that prints
nothing does not pass."""
import hashlib
import os

import harness as h
from bundle import MANY_CAPS, cap_sets, drop_namespace, mount, user_namespace


@h.test("CVE-2016-3697: a numeric uid is the number, whatever the image's passwd says")
def _(c):
    box = c.bundle(["sh", "-c", "grep ^Uid /proc/self/status"], user={"uid": 1000, "gid": 1000})
    box.put("etc/passwd", "1000:x:0:0::/:/bin/sh\nroot:x:0:0::/:/bin/sh\n")
    h.eq("Uid:\t1000\t1000\t1000\t1000\n", c.run(box).ok().out)
    box = c.sleeper()
    box.put("etc/passwd", "1000:x:0:0::/:/bin/sh\n")
    c.up(box)
    out = c.exec(box, "grep", "^Uid", "/proc/self/status", options=["-u", "1000"]).ok().out
    h.eq("Uid:\t1000\t1000\t1000\t1000\n", out)


@h.test("CVE-2016-9962, CVE-2019-5736: a container that watches sees no descriptor, no writable "
        "binary, nothing to attach to in 200 execs")
def _(c):
    # Root, but without CAP_SYS_PTRACE: what keeps it out is that the newcomer is not dumpable.
    box = c.bundle(["probe", "spy", "600"])
    c.up(box)
    for _ in range(200):
        c.exec(box, "true").ok()
    open(box.file("stop"), "w", encoding="ascii").close()
    h.until(lambda: "processes=" in c.output(box), "the report", 10)
    line = [l for l in c.output(box).splitlines() if l.startswith("processes=")][0]
    h.has("foreign_fds=0 attached=0 writable_exe=0", line)
    seen = dict(word.split("=") for word in line.split())
    h.true(int(seen["processes"]) > 0, "it never met one of the newcomers: " + line)
    h.true(int(seen["exe_tries"]) >= 1000, "too few tries: " + line)


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


@h.test("CVE-2019-5736: /proc/self/exe as program, interpreter, and over exec")
def _(c):
    import shutil
    binary = shutil.which(h.runtime()[0])
    before = digest(binary)
    box = c.bundle(["/proc/self/exe", "--version"])
    done = c.run(box)
    h.lacks("runc version", done.out)
    h.lacks("coracle version", done.out)
    script = c.bundle(["/script"])
    script.put("script", "#!/proc/self/exe\n", 0o755)
    done = c.run(script)
    h.true(done.status != 0, "a script run by the runtime itself succeeded")
    box = c.up(c.sleeper())
    done = c.exec(box, "/proc/self/exe", "--version")
    h.lacks("version", done.out)
    h.eq("alive\n", c.exec(box, "echo", "alive").ok().out)
    h.eq(before, digest(binary))


@h.test("the waiting init is not the runtime's binary")
def _(c):
    h.only_ours("others clone or re-execute themselves")
    import shutil
    box = c.bundle(["true"])
    c.create(box)
    exe = os.stat("/proc/%d/exe" % c.state(box)["pid"])
    own = os.stat(shutil.which(h.runtime()[0]))
    h.true((exe.st_dev, exe.st_ino) != (own.st_dev, own.st_ino), "it is the host's binary")
    try:
        os.close(os.open("/proc/%d/exe" % c.state(box)["pid"], os.O_WRONLY))
        h.fail("the init's executable can be opened for writing")
    except OSError:
        pass


@h.test("CVE-2021-43784: very long mappings and paths are right or refused")
def _(c):
    def many(config):
        user_namespace(config)
        config["linux"]["uidMappings"] = [
            {"containerID": i, "hostID": 100000 + i, "size": 1} for i in range(5000)]
    box = c.bundle(["cat", "/proc/self/uid_map"], many).give(100000)
    done = c.run(box)
    if done.status == 0:
        h.eq(5000, len(done.out.splitlines()))
    else:
        done.fails()
    done = c.run(c.bundle(["true"], lambda cfg: cfg["linux"].update(
        cgroupsPath="/" + "x" * 70000))).fails()
    c.run(c.bundle(["true"], lambda cfg: cfg["root"].update(path="/" + "y" * 70000))).fails()
    c.run(c.bundle(["true"], lambda cfg: cfg["mounts"].append(
        mount("/" + "z" * 70000, "tmpfs", "t")))).fails()

    # The kernel takes 340 extents in at most one page of text; that many are to work.
    def most(config):
        user_namespace(config)
        config["linux"]["uidMappings"] = [
            {"containerID": i, "hostID": 100000 + i, "size": 1} for i in range(250)]
    box = c.bundle(["cat", "/proc/self/uid_map"], most).give(100000)
    h.eq(250, len(c.run(box).ok().out.splitlines()))


@h.test("CVE-2022-29162, 24769, 27650: inheritable and ambient stay empty unless asked for")
def _(c):
    def sets(text):
        return {l.split(":")[0]: int(l.split()[1], 16) for l in text.splitlines()}
    box = c.up(c.sleeper())
    look = ["grep", "^Cap", "/proc/self/status"]
    for options in ([], ["-u", "1000"], ["--cap", "CAP_SYS_CHROOT"],
                    ["--cap", "CAP_SYS_CHROOT", "-u", "1000"]):
        found = sets(c.exec(box, *look, options=options).ok().out)
        h.eq(0, found["CapInh"], "inheritable with %s" % options)
        h.eq(0, found["CapAmb"] & ~(1 << 18), "ambient with %s" % options)
        h.true(found["CapBnd"] != 0, "no sign of life")
    for user in (0, 1000):
        found = sets(c.check_output(look, user={"uid": user, "gid": user}))
        h.eq((0, 0), (found["CapInh"], found["CapAmb"]))


@h.test("CVE-2023-25809: a user namespace without cgroup namespace cannot write the host's tree")
def _(c):
    def edit(config):
        user_namespace(config)
        drop_namespace(config, "cgroup")
        for entry in config["mounts"]:
            if entry["type"] == "cgroup":
                entry["options"].remove("ro")
    box = c.bundle(["sh", "-c", "echo alive; mkdir /sys/fs/cgroup/../cgroup/x; "
                    "find /sys/fs/cgroup -name cgroup.procs -maxdepth 3"], edit).give(100000)
    done = c.run(box)
    if done.status == 0 or done.out:
        h.has("alive", done.out)
    h.true(not os.path.exists("/sys/fs/cgroup/x"), "it made a cgroup at the top")


@h.test("CVE-2024-21626: a cwd or program through /proc/self/fd is refused")
def _(c):
    fds = [os.open("/", os.O_RDONLY | os.O_DIRECTORY) for _ in range(6)]
    for fd in fds:
        os.set_inheritable(fd, True)
    secret = c.path("secret")
    with open(secret, "w", encoding="ascii") as file:
        file.write("secret\n")
    out = ""
    for number in range(3, 24):
        box = c.bundle(["cat", "../../../../../../.." + secret], cwd="/proc/self/fd/%d" % number)
        out += c.run(box, pass_fds=fds).out
        box = c.bundle(["cat", "../../../../../../.." + secret], cwd="/link")
        os.symlink("/proc/self/fd/%d" % number, box.file("link"))
        out += c.run(box, pass_fds=fds).out
    box = c.up(c.sleeper())
    for number in range(3, 24):
        out += c.exec(box, "cat", "../../../../../.." + secret, pass_fds=fds,
                      options=["--cwd", "/proc/self/fd/%d" % number]).out
        done = c.exec(box, "/proc/self/fd/%d/bin/busybox" % number, "true", pass_fds=fds)
        h.true(done.status != 0, "a program of the host ran through fd %d" % number)
    h.lacks("secret", out)
    h.eq("alive\n", c.exec(box, "echo", "alive").ok().out)
    for fd in fds:
        os.close(fd)


@h.test("CVE-2026-30892: exec --user is the exact number or refused")
def _(c):
    box = c.up(c.sleeper())
    for text, want in (("1", (1, None)), ("1:2", (1, 2)), ("0", (0, None)), ("65534:65534",
                                                                            (65534, 65534))):
        out = c.exec(box, "sh", "-c", "id -u; id -g", options=["-u", text]).ok().out.split()
        h.eq(str(want[0]), out[0])
        if want[1] is not None:
            h.eq(str(want[1]), out[1])
    for text in (":2", "-1", "4294967295", "4294967296", "1x", "99999999999999999999"):
        done = c.exec(box, "id", "-u", options=["-u", text])
        if h.is_ours():
            done.fails()
        h.true(done.status != 0 or done.out.strip() != "0", "-u %s became root" % text)


@h.test("CVE-2022-0811: sysctl keys that smuggle others")
def _(c):
    before = open("/proc/sys/kernel/core_pattern", encoding="ascii").read()
    for key in ("kernel.shm_rmid_forced+kernel.core_pattern", "net/../kernel/core_pattern",
                "net.ipv4/../../kernel.core_pattern", "kernel.shmmax=1\nkernel.core_pattern",
                "/proc/sys/kernel/core_pattern", "net.\u0000x", "kernel.core_pattern"):
        c.run(c.bundle(["true"], lambda cfg, k=key: cfg["linux"].update(
            sysctl={k: "|/tmp/evil"}))).fails()
    h.eq(before, open("/proc/sys/kernel/core_pattern", encoding="ascii").read())
    h.eq("65536\n", c.check_output(["cat", "/proc/sys/kernel/shmmax"], lambda cfg: cfg["linux"]
                                   .update(sysctl={"kernel.shmmax": "65536"})))


@h.test("CVE-2019-14271: the runtime opens no library or NSS file of the image", needs=("strace",))
def _(c):
    h.only_ours("others are dynamically linked")
    box = c.bundle(["echo", "alive"])
    for name in ("lib/libnss_files.so.2", "etc/nsswitch.conf", "lib64/ld-linux-x86-64.so.2"):
        box.put(name, "evil\n", 0o755)
    trace = c.path("trace")
    argv = ["strace", "-f", "-qq", "-e", "trace=open,openat,openat2", "-o", trace] + h.runtime() + [
        "--root", c.root, "run", "-b", box.path, box.id]
    h.eq("alive\n", c.command(argv).ok().out)
    with open(trace, encoding="utf-8", errors="replace") as file:
        text = file.read()
    h.true(len(text) > 100, "nothing was traced")
    for name in ("libnss", "nsswitch", "ld-linux", "gconv", "locale"):
        h.lacks(name, text)


@h.test("GHSA-g54h: with CAP_MKNOD a disk's node can be made but not opened")
def _(c):
    box = c.bundle(["sh", "-c", "mknod /disk b 8 0; probe open /disk r; mknod /mem c 1 1; "
                    "probe open /mem r; echo alive"], capabilities=cap_sets(MANY_CAPS))
    h.eq("EPERM\nEPERM\nalive\n", c.run(box).ok().out)


@h.test("the host's session keyring is not the container's")
def _(c):
    out = c.check_output(["probe", "keyring"])
    h.match(r"^\d+$", out)
    probe = os.environ.get("PROBE")
    if probe:
        h.true(out != c.command([probe, "keyring"]).out, "the host's keyring")


@h.test("TIOCSTI: a container with a terminal cannot type into the caller's")
def _(c):
    import pty
    from terminal import read_until
    box = c.bundle(["sh", "-c", "probe tiocsti 'echo injected'; echo alive"], terminal=True)
    pid, master = pty.fork()
    if pid == 0:
        argv = h.runtime() + ["--root", c.root, "run", "-b", box.path, box.id]
        try:
            os.execvp("busybox", ["busybox", "sh", "-c", '"$@"; echo caller; read -t 1 x; echo "read:$x. finis"', "sh",
                             *argv])
        finally:
            os._exit(127)
    text = read_until(master, "finis", 15)
    h.has("alive", text)
    h.has("read:. finis", text)
    os.waitpid(pid, 0)
    os.close(master)


@h.test("CVE-2024-25621: the state root and its files are for the owner only")
def _(c):
    old = os.umask(0)
    try:
        box = c.up(c.sleeper())
    finally:
        os.umask(old)
    wide = []
    for folder, _, files in os.walk(c.root):
        for name in [""] + files:
            path = os.path.join(folder, name)
            mode = os.lstat(path).st_mode & 0o777
            if mode & 0o077 and path.rstrip("/") != c.root:
                wide.append("%s %o" % (path, mode))
    h.eq("running", c.status(box))
    if h.is_ours():
        h.eq([], wide)


@h.test("CVE-2024-40635: user ids around the limits of int and unsigned")
def _(c):
    for uid in (2147483647, 2147483648, 4294967294):
        done = c.run(c.bundle(["grep", "^Uid", "/proc/self/status"],
                              user={"uid": uid, "gid": uid}))
        if done.status == 0:
            h.eq([str(uid)] * 4, done.out.split()[1:])
    for uid in (4294967295, 4294967296, -1):
        done = c.run(c.bundle(["id", "-u"], user={"uid": uid, "gid": 0}))
        h.true(done.status != 0 or done.out.strip() != "0", "uid %d became root" % uid)
        if h.is_ours():
            done.fails()


@h.test("a program of the image cannot trace or stop the init that starts it")
def _(c):
    box = c.sleeper()
    c.create(box)
    pid = c.state(box)["pid"]
    if h.is_ours():
        # Not dumpable: its /proc files belong to root and other users may not look.
        with open("/proc/%d/status" % pid, encoding="ascii") as file:
            h.has("State:", file.read())
        h.eq(0, os.stat("/proc/%d/environ" % pid).st_uid)
        with open("/proc/%d/environ" % pid, "rb") as file:
            h.eq(b"", file.read().strip(b"\0"))
    c.start(box)
    h.until(lambda: "up" in c.output(box), "a sign of life")


@h.test("no_new_privs keeps setuid programs down")
def _(c):
    import shutil
    for value, want in ((True, "1000\n"), (False, "0\n")):
        box = c.bundle(["/bin/suid", "euid"], user={"uid": 1000, "gid": 1000},
                       noNewPrivileges=value, capabilities=cap_sets(MANY_CAPS))
        shutil.copy(box.file("bin/probe"), box.file("bin/suid"))
        os.chmod(box.file("bin/suid"), 0o4755)
        h.eq(want, c.run(box).ok().out)


if __name__ == "__main__":
    h.main()
