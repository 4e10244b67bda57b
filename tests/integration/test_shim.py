#!/usr/bin/env python3
"""The containerd shim, spoken to as containerd does: life of a task, states, events, errors."""
import os
import shutil
import signal
import subprocess

import harness as h
import shim
from bundle import user_namespace
from shim import enc, one, text


@h.test("shim: a task's life: create, start, wait, state, delete, shutdown")
def _(c):
    box = c.bundle(["sh", "-c", "echo out; echo err >&2; exit 7"])
    with shim.Shim(c, box) as s:
        io = s.stdio()
        pid = s.create(box, io)
        h.true(pid > 0, "no pid")
        h.eq(shim.CREATED, s.status(box))
        waiting = s.main.send("Wait", enc(_1=box.id))
        h.eq(pid, s.start(box))
        answer = s.main.answer(waiting)
        h.eq(7, one(answer, 1), "exit status")
        h.true(one(shim.dec(one(answer, 2)), 1) > 1700000000, "no time of exit")
        state = s.state(box)
        h.eq(shim.STOPPED, one(state, 4))
        h.eq(box.path, text(state, 2))
        h.eq(pid, one(state, 3))
        h.eq("out\n", io.join())
        h.eq(b"err\n", io.data["stderr"])
        gone = s.delete(box)
        h.eq((pid, 7), (one(gone, 1), one(gone, 2)))
        words = s.main.refused(shim.NOT_FOUND, "State", enc(_1=box.id))
        h.has("not found", words)
        s.events.wait("create", "start", "exit", "delete")
        s.shutdown()
        h.true(not os.path.exists(s.address.replace("unix://", "")), "the socket is left")
        h.eq([], [n for n in os.listdir(c.path("shim-root", "test")) if n[0] != "."])


@h.test("shim: events say who, and what became of it")
def _(c):
    box = c.sleeper()
    with shim.Shim(c, box) as s:
        pid = s.run(box)
        s.kill(box)
        s.wait(box)
        s.delete(box)
        s.events.wait("create", "start", "exit", "delete")
        created, started, ended, deleted = s.events.list
        for event, kind in zip(s.events.list, ("Create", "Start", "Exit", "Delete")):
            h.eq("test", event[1], "namespace")
            h.eq("containerd.events.Task" + kind, event[2])
            h.eq(box.id, text(event[3], 1))
        h.eq(pid, one(created[3], 6))
        h.eq(pid, one(started[3], 2))
        h.eq((box.id, pid, 137), (text(ended[3], 2), one(ended[3], 3), one(ended[3], 4)))
        h.eq((pid, 137), (one(deleted[3], 2), one(deleted[3], 3)))
        h.true(all(t > 0 for t in s.events.times), "an event without a time")


@h.test("shim: not exited yet is the year 1, said explicitly")
def _(c):
    box = c.sleeper()
    with shim.Shim(c, box) as s:
        s.create(box)
        exited = shim.dec(one(s.state(box), 10))
        h.eq(-62135596800, one(exited, 1) - (1 << 64))


@h.test("shim: both versions of the service; others, and other methods, are refused")
def _(c):
    box = c.sleeper()
    with shim.Shim(c, box) as s:
        s.create(box)
        s.call("State", enc(_1=box.id), "containerd.task.v3.Task")
        s.main.refused(shim.UNIMPLEMENTED, "State", enc(_1=box.id), "containerd.task.v4.Task")
        s.main.refused(shim.UNIMPLEMENTED, "Dance", enc(_1=box.id))


@h.test("shim: errors have the codes and words that containerd looks for")
def _(c):
    box = c.bundle(["true"])
    with shim.Shim(c, box) as s:
        h.has("container not created", s.main.refused(shim.NOT_FOUND, "Start", enc(_1=box.id)))
        s.create(box)
        s.main.refused(shim.EXISTS, "Create", s.create_payload(box))
        h.has("process does not exist x: not found",
              s.main.refused(shim.NOT_FOUND, "State", enc(_1=box.id, _2="x")))
        s.start(box)
        s.wait(box)
        h.has("process already finished: not found",
              s.main.refused(shim.NOT_FOUND, "Kill", enc(_1=box.id, _3=9)))
        s.main.refused(shim.FAILED, "Start", enc(_1=box.id))
        h.eq(0, one(s.call("Connect", enc(_1="stranger")), 2))


@h.test("shim: a create that fails says why and leaves nothing")
def _(c):
    box = c.bundle(["true"], lambda config: config["linux"]["namespaces"].append(
        {"type": "user", "path": "/nowhere"}))
    with shim.Shim(c, box) as s:
        words = s.main.refused(shim.UNKNOWN, "Create", s.create_payload(box))
        h.has("OCI runtime create failed: ", words)
        h.has("/nowhere", words)
        s.main.refused(shim.NOT_FOUND, "State", enc(_1=box.id))
        h.eq([], [n for n in os.listdir(c.path("shim-root", "test")) if n[0] != "."])
        s.shutdown()
        h.eq([], s.events.topics())


@h.test("shim: a program that is not there fails start, and the task can be deleted")
def _(c):
    box = c.bundle(["/no/such/program"])
    with shim.Shim(c, box) as s:
        try:
            s.run(box)
            h.fail("the start succeeded")
        except shim.Refused as refused:
            h.has("no such file or directory", refused.words)
        if s.call("Connect", enc(_1=box.id)).get(2):
            s.delete(box)


@h.test("shim: a running task is not deleted, a created one is")
def _(c):
    box = c.sleeper()
    with shim.Shim(c, box) as s:
        s.run(box)
        h.has("cannot delete a running process",
              s.main.refused(shim.UNKNOWN, "Delete", enc(_1=box.id)))
        s.kill(box)
        h.eq(137, s.wait(box))
        s.delete(box)
        other = c.sleeper()
        s.create(other)
        h.eq(137, one(s.delete(other), 2))
        s.events.wait("create", "start", "exit", "delete", "create", "exit", "delete")


@h.test("shim: a created task can be killed")
def _(c):
    box = c.sleeper()
    with shim.Shim(c, box) as s:
        s.create(box)
        s.kill(box, signal.SIGKILL)
        h.eq(137, s.wait(box))
        h.eq(shim.STOPPED, s.status(box))
        s.delete(box)


@h.test("shim: signals reach the first process, or with `all` every one")
def _(c):
    box = c.sleeper()
    with shim.Shim(c, box) as s:
        io = s.stdio()
        s.run(box, io)
        h.until(lambda: io.data["stdout"] == b"up\n", "the first line")
        s.kill(box, 0)
        s.kill(box, signal.SIGTERM)
        h.eq(0, s.wait(box))
        s.delete(box)
        other = c.sleeper()
        s.run(other)
        s.kill(other, signal.SIGKILL, every=True)
        h.eq(137, s.wait(other))


@h.test("shim: told to end, it takes nobody and nothing more while the last events are on their way")
def _(c):
    box = c.sleeper()
    with shim.Shim(c, box) as s:
        s.run(box)
        s.events.close()
        s.kill(box)
        s.wait(box)
        s.delete(box)
        s.call("Shutdown", enc(_1=box.id))
        words = s.main.refused(shim.UNAVAILABLE, "Create", s.create_payload(box))
        h.match("told to end", words)
        try:
            shim.Connection(s.address)
            h.fail("a new connection was accepted")
        except OSError:
            pass
        h.until(lambda: not s.pids(), "the end of the shim")


@h.test("shim: shutdown is a no-op while there is a task")
def _(c):
    box = c.sleeper()
    with shim.Shim(c, box) as s:
        s.run(box)
        s.call("Shutdown", enc(_1=box.id))
        h.eq(shim.RUNNING, s.status(box))
        s.kill(box)
        s.wait(box)
        s.delete(box)
        s.shutdown()


@h.test("shim: without a pid namespace of its own, nothing of the container outlives it")
def _(c):
    def edit(config):
        config["linux"]["namespaces"] = [n for n in config["linux"]["namespaces"]
                                         if n["type"] != "pid"]
    box = c.bundle(["sh", "-c", "sleep 1000 & sleep 1000 & exit 3"], edit)
    with shim.Shim(c, box) as s:
        pid = s.run(box)
        h.eq(3, s.wait(box))
        h.until(lambda: pids(s, box) == [pid], "the end of the others")
        s.delete(box)


def pids(s, box):
    return [one(shim.dec(p), 1) for p in s.call("Pids", enc(_1=box.id))[1]]


@h.test("shim: an ended task has its first process's pid, lest containerd take the shim for leaked")
def _(c):
    box = c.bundle(["sh", "-c", "exit 3"])
    with shim.Shim(c, box) as s:
        pid = s.run(box)
        h.eq(3, s.wait(box))
        h.eq([pid], pids(s, box))
        s.delete(box)


@h.test("shim: pids tells of every process, and which exec it is of")
def _(c):
    box = c.sleeper()
    with shim.Shim(c, box) as s:
        pid = s.run(box)
        s.exec_start(box, "e1", ["sleep", "1000"])
        listed = [shim.dec(p) for p in s.call("Pids", enc(_1=box.id))[1]]
        h.true(pid in [one(p, 1) for p in listed], "the first process is not listed")
        named = [text(shim.dec(one(shim.dec(one(p, 2)), 2)), 1) for p in listed if 2 in p]
        h.eq(["e1"], named)


@h.test("shim: pause, resume, update and stats")
def _(c):
    box = c.sleeper()
    with shim.Shim(c, box) as s:
        s.run(box)
        s.call("Pause", enc(_1=box.id))
        h.eq(shim.PAUSED, s.status(box))
        words = s.main.refused(shim.UNKNOWN, "Exec", enc(_1=box.id, _2="e"))
        h.has("paused", words)
        h.has("paused", s.main.refused(shim.UNKNOWN, "Delete", enc(_1=box.id)))
        s.call("Resume", enc(_1=box.id))
        h.eq(shim.RUNNING, s.status(box))
        s.main.refused(shim.UNKNOWN, "Resume", enc(_1=box.id))
        s.call("Pause", enc(_1=box.id))
        s.kill(box)
        h.eq(137, s.wait(box))
        any_message = shim.dec(one(s.call("Stats", enc(_1=box.id)), 1))
        h.eq("io.containerd.cgroups.v2.Metrics", text(any_message, 1))
        h.true(one(shim.dec(one(shim.dec(one(any_message, 2)), 2)), 1) > 0, "no cpu time")
        s.delete(box)
        s.events.wait("create", "start", "paused", "resumed", "paused", "exit", "delete")


@h.test("shim: update sets limits, and says what is wrong with them", needs=("pids",))
def _(c):
    box = c.sleeper()
    with shim.Shim(c, box) as s:
        s.run(box)
        url = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources"
        s.call("Update", enc(_1=box.id, _2=shim.any_of(url, '{"pids":{"limit":77}}')))
        with open(c.cgroup(box) + "/pids.max", encoding="ascii") as file:
            h.eq("77\n", file.read())


@h.test("shim: a malformed update is refused")
def _(c):
    box = c.sleeper()
    with shim.Shim(c, box) as s:
        s.run(box)
        words = s.main.refused(shim.UNKNOWN, "Update", enc(_1=box.id, _2=shim.any_of("x", "{")))
        h.has("resources:1:", words)


@h.test("shim: rootfs mounts are made by it and taken away by delete")
def _(c):
    box = c.bundle(["sh", "-c", "echo new > /file; cat /bin/marker"])
    lower, upper, work = (c.path(n) for n in ("lower", "upper", "work"))
    os.rename(box.rootfs, lower)
    for folder in (box.rootfs, upper, work):
        os.mkdir(folder)
    with open(lower + "/bin/marker", "w", encoding="ascii") as file:
        file.write("seen\n")
    mount = enc(_1="overlay", _2="overlay", _4=[
        "index=off", "workdir=" + work, "upperdir=" + upper, "lowerdir=" + lower])
    with shim.Shim(c, box) as s:
        io = s.stdio()
        s.run(box, io, rootfs=[mount])
        s.wait(box)
        h.eq("seen\n", io.join())
        s.delete(box)
        h.eq([], os.listdir(box.rootfs))
        h.eq(["file"], os.listdir(upper))


@h.test("shim: an overlay of many layers, whose list is longer than fsconfig takes")
def _(c):
    box = c.bundle(["cat", "/n0", "/n39"])
    layers = []
    for number in range(40):
        layers.append(c.path("a-layer-with-a-long-name-%d" % number))
        os.mkdir(layers[-1])
        with open("%s/n%d" % (layers[-1], number), "w", encoding="ascii") as file:
            file.write("%d\n" % number)
    os.rename(box.rootfs, c.path("base"))
    os.mkdir(box.rootfs)
    mount = enc(_1="overlay", _2="overlay",
                _4=["ro", "lowerdir=" + ":".join(layers + [c.path("base")])])
    with shim.Shim(c, box) as s:
        io = s.stdio()
        s.run(box, io, rootfs=[mount])
        s.wait(box)
        h.eq("0\n39\n", io.join())
        s.delete(box)


def mapped_overlay(c, box, layers):
    """An overlay for a user namespace from 100000 on, over layers that are the host's root's."""
    upper, work = c.path("upper"), c.path("work")
    for folder in (upper, work):
        os.mkdir(folder)
        os.chown(folder, 100000, 100000)
    os.rename(box.rootfs, c.path("base"))
    os.mkdir(box.rootfs)
    os.chown(box.rootfs, 100000, 100000)
    os.chmod(c.path("base"), 0o755)
    lower = ":".join(layers + [c.path("base")])
    return enc(_1="overlay", _2="overlay", _4=[
        "workdir=" + work, "upperdir=" + upper, "lowerdir=" + lower, "uidmap=0:100000:65536",
        "gidmap=0:100000:5,5:100005:65531"])


@h.test("shim: overlays with ids mapped, of one layer and of forty", needs=("idmap",))
def _(c):
    for count in (1, 40):
        box = c.bundle(["sh", "-c", "stat -c %%u:%%g /bin /n0 /n%d; echo new >/made" % (count - 1)],
                       user_namespace)
        layers = []
        for number in range(count):
            layers.append(c.path("a-layer-with-a-long-name-%d-%d" % (count, number)))
            os.mkdir(layers[-1])
            with open("%s/n%d" % (layers[-1], number), "w", encoding="ascii") as file:
                file.write("x")
            os.chown(file.name, number, number)
        mount = mapped_overlay(c, box, layers)
        before = os.listdir(box.path)
        with shim.Shim(c, box) as s:
            io = s.stdio("io%d" % count)
            s.run(box, io, rootfs=[mount])
            h.eq(0, s.wait(box))
            last = count - 1
            h.eq("0:0\n0:0\n%d:%d\n" % (last, last), io.join())
            h.eq(100000, os.stat(c.path("upper", "made")).st_uid)
            h.eq(0, os.stat(layers[0] + "/n0").st_uid)
            s.delete(box)
            h.eq([], os.listdir(box.rootfs))
            h.lacks("a-layer", open("/proc/%d/mountinfo" % s.shim_pid, encoding="utf-8").read())
        h.eq(sorted(set(before)), sorted(set(before) & set(os.listdir(box.path))))
        for folder in ("upper", "work", "base"):
            shutil.rmtree(c.path(folder))


@h.test("shim: a bind of a directory with ids mapped", needs=("idmap",))
def _(c):
    box = c.bundle(["stat", "-c", "%u:%g", "/bin"], user_namespace)
    os.rename(box.rootfs, c.path("base"))
    os.mkdir(box.rootfs)
    maps = ["uidmap=0:100000:65536", "gidmap=0:100000:65536"]
    with shim.Shim(c, box) as s:
        io = s.stdio()
        s.run(box, io, rootfs=[enc(_1="bind", _2=c.path("base"), _4=["rbind", "rw", *maps])])
        h.eq(0, s.wait(box))
        h.eq("0:0\n", io.join())
        s.delete(box)


@h.test("shim: an image in a file, by a loop device, which goes with the container")
def _(c):
    if not os.path.exists("/dev/loop-control") or not shutil.which("mke2fs"):
        h.skip("no loop devices, or no mke2fs")
    box, image = c.bundle(["sh", "-c", "cat /proc/mounts; touch /x"]), c.path("image")
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", box.rootfs, image, "64M"], check=True,
                   stdout=subprocess.DEVNULL)
    shutil.rmtree(box.rootfs)

    def devices():
        found = []
        for name in os.listdir("/sys/block"):
            try:
                with open("/sys/block/%s/loop/backing_file" % name, encoding="utf-8") as file:
                    found += [name] if file.read().strip() == image else []
            except OSError:
                continue
        return found
    with shim.Shim(c, box) as s:
        for options, status in ((["loop"], 0), (["loop", "ro"], 1)):
            io = s.stdio("io%d" % status)
            s.run(box, io, rootfs=[enc(_1="ext4", _2=image, _4=options)])
            h.eq(status, s.wait(box))
            h.match(r"^/dev/loop\d+ / ext4 ", io.join())
            s.delete(box)
            h.until(lambda: not devices(), "the end of the loop device")


@h.test("shim: a mount that fails is told of, and the others are taken away")
def _(c):
    box = c.bundle(["true"])
    good = enc(_1="bind", _2=box.rootfs, _4=["rbind", "ro"])
    bad = enc(_1="nosuchfs", _2="x")
    with shim.Shim(c, box) as s:
        words = s.main.refused(shim.UNKNOWN, "Create",
                               s.create_payload(box, rootfs=[good, bad]))
        h.has("failed to mount rootfs component: mount of type \"nosuchfs\"", words)
        with open("/proc/self/mountinfo", encoding="utf-8") as file:
            h.lacks(box.path, file.read())


@h.test("shim: its name by -v, and what it can do by -info")
def _(c):
    box = c.bundle(["true"])
    with shim.Shim(c, box) as s:
        out = subprocess.run([s.binary, "-v"], capture_output=True, check=True).stdout
        h.has(b"containerd-shim-coracle-v2", out)
        info = shim.dec(subprocess.run([s.binary, "-info"], capture_output=True, check=True,
                                       stdin=subprocess.DEVNULL).stdout)
        h.has("coracle", text(info, 1))
        h.has('"ociVersionMin"', text(shim.dec(one(info, 4)), 2))


if __name__ == "__main__":
    h.main()
