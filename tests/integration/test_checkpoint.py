#!/usr/bin/env python3
"""checkpoint and restore: the runtime's side of it, with a program in criu's place.

What the real criu makes of it: test_checkpoint_criu.py.
"""
import json
import os
import signal
import stat
import subprocess
import time

import harness as h
from bundle import bind, namespace, user_namespace
from fake_criu import DUMP, PRE_DUMP, RESTORE, FakeCriu
from terminal import ConsoleSocket


def setup(c, edit=None):
    """A running container, and a criu."""
    h.only_ours("criu is called in another way")
    box = c.sleeper(edit)
    c.up(box)
    return box, FakeCriu(c)


def checkpoint(c, box, criu, *options, words="", **keywords):
    return c.rt("checkpoint", "--image-path", c.path("images"), *options, box.id,
                env=criu.env(words), **keywords)


def restore(c, box, criu, *options, words="", detach=("-d",), **keywords):
    return c.rt("restore", *detach, "-b", box.path, "--image-path", c.path("images"), *options,
                box.id, env=criu.env(words), **keywords)


def has_option(options, wanted):
    h.true(wanted in options, "%s is not among %s" % (wanted, options))


@h.test("checkpoint: criu is told of the container, which is stopped then")
def _(c):
    box, criu = setup(c)
    pid = c.state(box)["pid"]
    checkpoint(c, box, criu).ok()
    options = criu.options(DUMP)
    for wanted in ("2=%d" % pid, "10=dump.log", "13=" + box.rootfs, "34=3", "50=1",
                   "44=" + c.cgroup(box)):
        has_option(options, wanted)
    h.eq("stopped", c.status(box))
    h.eq(0o700, stat.S_IMODE(os.stat(c.path("images")).st_mode))
    with open(c.path("images", "descriptors.json"), encoding="utf-8") as file:
        streams = json.load(file)
    h.eq(3, len(streams))
    for entry in streams:  # /dev/null and the log, none of which the container's mounts lead to
        h.match(r"^file\[[0-9a-f]+:[0-9a-f]+\]$", entry)
        has_option(options, "37=" + entry)
    h.eq(["config.json", "report", "state.json"],
         sorted(os.listdir(os.path.join(c.root, box.id))))


@h.test("restore: a container of the same id takes the place of the one that was stopped")
def _(c):
    box, criu = setup(c)
    checkpoint(c, box, criu).ok()
    criu.requests()
    restore(c, box, criu, "--pid-file", c.path("pid")).ok()
    options = criu.options(RESTORE)
    for wanted in ("10=restore.log", "26=1", "6=1", "34=3", "25=/" + box.id,
                   "13=" + os.path.join(c.root, box.id, "criu", "root")):
        has_option(options, wanted)
    state = c.state(box)
    h.eq("running", state["status"])
    with open(c.path("pid"), encoding="ascii") as file:
        h.eq(state["pid"], int(file.read()))
    with open("/proc/%d/cgroup" % state["pid"], encoding="ascii") as file:
        h.eq("/" + box.id, h.own_cgroup(file.read()))
    h.eq(["config.json", "state.json"], sorted(os.listdir(os.path.join(c.root, box.id))))
    c.delete(box, "--force").ok()


@h.test("restore: any other container of that id stays")
def _(c):
    box, criu = setup(c)
    os.mkdir(c.path("images"))
    restore(c, box, criu).fails("already exists")
    c.kill(box, "KILL")
    c.wait_stopped(box)
    restore(c, box, criu).fails("already exists")
    h.eq("stopped", c.status(box))


@h.test("checkpoint: every option reaches criu")
def _(c):
    box, criu = setup(c)
    os.mkdir(c.path("parent"))
    reader, writer = os.pipe()
    checkpoint(c, box, criu, "--work-path", c.path("work"), "--leave-running", "--leave-running",
               "--tcp-established", "--tcp-skip-in-flight", "--ext-unix-sk", "--shell-job",
               "--file-locks", "--link-remap", "--auto-dedup", "--lazy-pages", "--page-server",
               "[::1]:27", "--status-fd", writer, "--parent-path", "../parent", "--empty-ns",
               "network", "--network-lock", "nftables", "--manage-cgroups-mode", "full",
               pass_fds=[writer]).ok()
    options = criu.options(DUMP)
    for wanted in ("3=1", "4=1", "5=1", "7=1", "8=1", "11=::1|27", "14=../parent", "15=1", "16=1",
                   "18=1", "34=4", "38=%d" % 0x40000000, "46=1", "48=1", "49=%d" % writer, "64=2"):
        has_option(options, wanted)
    h.true(any(o.startswith("17=") for o in options), "no work directory in %s" % options)
    h.eq("running", c.status(box))
    os.close(reader)
    os.close(writer)


@h.test("checkpoint --pre-dump: memory only, and the container goes on")
def _(c):
    box, criu = setup(c)
    checkpoint(c, box, criu, "--pre-dump").ok()
    options = criu.options(PRE_DUMP)
    has_option(options, "15=1")
    h.true(not any(o.startswith("23=") for o in options), "mounts in %s" % options)
    h.eq("running", c.status(box))
    h.true(not os.path.exists(c.path("images", "descriptors.json")), "descriptors.json is there")
    checkpoint(c, box, criu, "--pre-dump", words="no-mem-track").fails("cannot track changes")


@h.test("restore: every option reaches criu")
def _(c):
    box, criu = setup(c)
    checkpoint(c, box, criu).ok()
    criu.requests()
    restore(c, box, criu, "--work-path", c.path("work"), "--tcp-established", "--tcp-close",
            "--ext-unix-sk", "--file-locks", "--auto-dedup", "--lazy-pages", "--empty-ns",
            "network", "--network-lock=skip", "--manage-cgroups-mode=strict", "--lsm-profile",
            "apparmor:x", "--lsm-mount-context", "ctx", "--no-pivot", "--no-new-keyring",
            "--no-subreaper").ok()
    options = criu.options(RESTORE)
    for wanted in ("4=1", "5=1", "8=1", "16=1", "34=5", "38=%d" % 0x40000000, "48=1", "52=1",
                   "53=apparmor:x", "63=ctx", "64=3"):
        has_option(options, wanted)


@h.test("binds, masks and namespaces by path are named to criu, the same way on both sides")
def _(c):
    os.mkdir(c.path("data"))
    os.symlink("data", c.path("data-link"))
    shared = subprocess.Popen(["unshare", "-n", "-i", "sleep", "1000"])
    c.children.append(shared)
    h.until(lambda: os.readlink("/proc/%d/ns/ipc" % shared.pid) != os.readlink("/proc/self/ns/ipc"),
            "the namespaces")

    def edit(config):
        config["mounts"] += [bind(c.path("data"), "/link/data"), bind(".", "/bundle"),
                             bind(c.path("data-link/."), "/data")]
        namespace(config, "network", "/proc/%d/ns/net" % shared.pid)
        namespace(config, "ipc", "/proc/%d/ns/ipc" % shared.pid)
    h.only_ours("criu is called in another way")
    box, criu = c.sleeper(edit), FakeCriu(c)
    os.mkdir(box.file("real"))
    os.symlink("real", box.file("link"))
    c.up(box)
    checkpoint(c, box, criu).ok()
    options = criu.options(DUMP)
    inode = os.stat("/proc/%d/ns/net" % shared.pid).st_ino
    for wanted in ("23=/real/data|/link/data", "23=/proc/keys|/dev/null",
                   "37=net[%d]:extRootNetNS" % inode):
        has_option(options, wanted)
    os.rmdir(box.file("real/data"))
    restore(c, box, criu).ok()
    options = criu.options(RESTORE)
    for wanted in ("23=/link/data|" + c.path("data"), "23=/bundle|" + box.path,
                   "23=/data|" + c.path("data"), "23=/dev/null|/dev/null",
                   "39=ipc|/proc/%d/ns/ipc" % shared.pid):
        has_option(options, wanted)
    h.true(any(o.startswith("27=extRootNetNS|") for o in options), "no network in %s" % options)
    h.true(os.path.isdir(box.file("real/data")), "the mount point was not made again")


@h.test("pipes to the outside are named in descriptors.json and reconnected, one to the inside not")
def _(c):
    h.only_ours("criu is called in another way")
    criu = FakeCriu(c)
    # The first process turns its stdout into a pipe of its own; tee still has the one outside.
    box = c.bundle(["sh", "-c", "mkfifo /fifo; tee <>/fifo & exec >/fifo; rm /fifo; echo up; "
                    "sleep 1000"])
    reader, writer = os.pipe()
    with open(os.devnull, "rb") as null:
        child = c.background("run", "--bundle", box.path, box.id, stdin=null, stdout=writer,
                             stderr=writer)
    h.eq(b"up\n", os.read(reader, 10))
    checkpoint(c, box, criu).ok()
    pipe = os.readlink("/proc/self/fd/%d" % writer)
    with open(c.path("images", "descriptors.json"), encoding="utf-8") as file:
        streams = json.load(file)
    h.eq([pipe, pipe], streams[1:])
    child.wait()
    criu.requests()
    restore(c, box, criu).ok()
    numbers = [o for o in criu.options(RESTORE) if o.startswith("27=" + pipe)]
    h.eq(2, len(numbers))
    os.close(reader)
    os.close(writer)


@h.test("a refusal: criu's reason is told, and the container runs on")
def _(c):
    box, criu = setup(c)
    done = checkpoint(c, box, criu, words="refuse").fails("the last reason", status=1)
    h.has("the answer's reason", done.err)
    h.has(c.path("images", "dump.log"), done.err)
    h.eq("running", c.status(box))
    for words, pattern in (("garbage", "not well-formed"), ("die", "without an answer"),
                           ("die-late", "killed by signal 9"),
                           ("version=31500", "criu 3.15 is too old")):
        checkpoint(c, box, criu, words=words).fails(pattern, status=1)
        h.eq("running", c.status(box))
        h.eq(["config.json", "report", "state.json"],
             sorted(os.listdir(os.path.join(c.root, box.id))))


@h.test("without criu, both say what to install, and change nothing")
def _(c):
    box, criu = setup(c)
    nowhere = {"PATH": c.path("nowhere")}
    c.rt("checkpoint", "--image-path", c.path("images"), box.id, env=nowhere).fails("package criu")
    h.eq("running", c.status(box))
    checkpoint(c, box, criu).ok()
    c.rt("restore", "-d", "-b", box.path, "--image-path", c.path("images"), box.id,
         env=nowhere).fails("package criu")
    h.eq("stopped", c.status(box))


@h.test("checkpoint: wrong state, wrong options: nothing is done")
def _(c):
    h.only_ours("the words are ours")
    criu = FakeCriu(c)
    c.rt("checkpoint", "nobody", env=criu.env()).fails("does not exist", status=1)
    box = c.sleeper()
    c.create(box)
    checkpoint(c, box, criu).fails("cannot checkpoint a container that is created")
    c.start(box)
    for option, value, pattern in (
            ("--parent-path", c.path("images"), "--parent-path .* must be relative"),
            ("--parent-path", "../missing", "invalid --parent-path"),
            ("--manage-cgroups-mode", "best", "--manage-cgroups-mode"),
            ("--network-lock", "door", "--network-lock"), ("--empty-ns", "ipc", "--empty-ns"),
            ("--page-server", "27", "--page-server"), ("--page-server", "h:0", "--page-server"),
            ("--status-fd", "77", "--status-fd"), ("--status-fd", "2", "--status-fd")):
        checkpoint(c, box, criu, option, value).fails(pattern, status=1)
    checkpoint(c, box, criu, "--lazy-pages").fails("needs --page-server")
    c.rt("checkpoint", "--image-path", c.path("a", "b"), box.id,
         env=criu.env()).fails("--image-path")
    h.eq([], criu.requests())
    h.eq("running", c.status(box))


@h.test("restore: the root of a user namespace may search an image directory that is nobody else's")
def _(c):
    h.only_ours("criu is called in another way")
    box, criu = c.sleeper(user_namespace), FakeCriu(c)
    box.give(100000)
    c.up(box)
    checkpoint(c, box, criu).ok()
    for mode, group in ((0o710, 100000), (0o750, 0)):
        restore(c, box, criu).ok()
        now = os.stat(c.path("images"))
        h.eq((mode, 0, group), (stat.S_IMODE(now.st_mode), now.st_uid, now.st_gid))
        c.delete(box, "--force").ok()
        os.chown(c.path("images"), 0, 0)
        os.chmod(c.path("images"), 0o750)  # somebody's own choice, which stays


@h.test("restore: a failure leaves nothing behind")
def _(c):
    box, criu = setup(c)
    checkpoint(c, box, criu).ok()
    c.delete(box).ok()
    for words, pattern in (("refuse", "the last reason"), ("die", "without an answer"),
                           ("die-late", "killed by signal 9"), ("garbage", "not well-formed"),
                           ("version=31500", "too old")):
        restore(c, box, criu, words=words).fails(pattern, status=1)
        h.true(not os.path.exists(os.path.join(c.root, box.id)), "state after " + words)
        h.true(not os.path.exists(c.cgroup(box)), "cgroup after " + words)
    c.rt("restore", "-d", "-b", box.path, "--image-path", c.path("no"), box.id,
         env=criu.env()).fails("--image-path")
    c.rt("restore", "-d", "-b", c.path("no"), "--image-path", c.path("images"), box.id,
         env=criu.env()).fails("config.json")


@h.test("restore: hooks before the processes run; one that fails ends it")
def _(c):
    log = c.path("hooks")
    script = "cat >> %s; echo >> %s" % (log, log)

    def edit(config):
        config["hooks"] = {"createRuntime": [
            {"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin:/usr/bin"]}]}
    box, criu = setup(c, edit)
    os.unlink(log)
    checkpoint(c, box, criu).ok()
    criu.requests()
    restore(c, box, criu).ok()
    with open(log, encoding="utf-8") as file:
        state = json.loads(file.read())
    h.eq(("creating", c.state(box)["pid"]), (state["status"], state["pid"]))
    c.delete(box, "--force").ok()
    box.config["hooks"]["createRuntime"][0]["args"][2] = "echo no >&2; exit 1"
    box.write()
    restore(c, box, criu).fails("no")
    h.true(any(r.startswith("request 6 no") for r in criu.requests()), "criu was not told")
    h.true(not os.path.exists(os.path.join(c.root, box.id)), "state is left")


@h.test("restore: killed in the middle, `delete --force` removes what there is")
def _(c):
    box, criu = setup(c)
    checkpoint(c, box, criu).ok()
    c.delete(box).ok()
    child = c.background("restore", "-d", "-b", box.path, "--image-path", c.path("images"), box.id,
                         env=criu.env("hang"))
    procs = os.path.join(c.cgroup(box), "cgroup.procs")

    def criu_pid():
        if not os.path.exists(procs):
            return None
        with open(procs, encoding="ascii") as file:
            return file.read().split()
    h.until(criu_pid, "criu to start")
    child.send_signal(signal.SIGKILL)
    child.wait()
    time.sleep(0.1)  # the fake hangs, and does not notice
    h.eq("stopped", c.status(box))
    c.delete(box, "--force").ok()
    h.true(not os.path.exists(c.cgroup(box)), "the cgroup is left")


@h.test("restore: the terminal goes to the console socket")
def _(c):
    def edit(config):
        config["process"]["terminal"] = True
    h.only_ours("criu is called in another way")
    criu, box = FakeCriu(c), c.bundle(["sleep", "1000"], edit)
    socket = ConsoleSocket(c.path("console"))
    os.mkdir(c.path("images"))
    restore(c, box, criu, words="terminal").fails("console socket")
    restore(c, box, criu, "--console-socket", socket.path, words="terminal").ok()
    master, _ = socket.accept()
    h.true(os.isatty(master), "no terminal came")
    os.close(master)
    socket.close()


@h.test("restore: in the foreground, signals go on and the status comes back")
def _(c):
    box, criu = setup(c)
    checkpoint(c, box, criu).ok()
    child = c.background("restore", "-b", box.path, "--image-path", c.path("images"), box.id,
                         env=criu.env())
    h.until(lambda: '"running"' in c.rt("state", box.id).out,  # for a moment there is no record
            "the container to run")
    child.send_signal(signal.SIGTERM)
    h.eq(128 + signal.SIGTERM, child.wait(10))
    h.true(not os.path.exists(os.path.join(c.root, box.id)), "state is left")


@h.test("the bundle's own criu configuration is used; without a mount namespace there is no checkpoint")
def _(c):
    box, criu = setup(c, lambda config: config.update(annotations={"org.criu.config": "/my.conf"}))
    checkpoint(c, box, criu, "--leave-running").ok()
    has_option(criu.options(DUMP), "51=/my.conf")

    def bare(config):
        spaces = config["linux"]["namespaces"]
        config["linux"]["namespaces"] = [n for n in spaces if n["type"] != "mount"]
        config["linux"]["maskedPaths"] = config["linux"]["readonlyPaths"] = []
        config["mounts"] = []
    open_box = c.sleeper(bare)
    c.up(open_box)
    checkpoint(c, open_box, criu).fails("without a mount namespace")


if __name__ == "__main__":
    h.main()
