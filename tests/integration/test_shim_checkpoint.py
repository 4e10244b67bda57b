#!/usr/bin/env python3
"""The containerd shim's Checkpoint, and Create from a checkpoint: what it asks of criu and makes of
it (with a program in criu's place), and where kernel and criu can, the real thing."""
import os

import harness as h
import shim
from fake_criu import DUMP, RESTORE, FakeCriu
from shim import enc, one, text

OPTIONS = "containerd.runc.v1.CheckpointOptions"
COUNT = "i=0; while true; do i=$((i+1)); echo $i; sleep 0.1; done"


def checkpoint(s, box, path, **options):
    s.call("Checkpoint", enc(_1=box.id, _2=path, _3=shim.any_of(OPTIONS, enc(**options))))


def restored(s, box, io, path):
    """Create from a checkpoint, and Start."""
    h.eq(0, one(s.call("Create", s.create_payload(box, io) + enc(_8=path)), 1))
    return s.start(box)


@h.test("shim checkpoint: criu is told, the task goes on, and the event comes")
def _(c):
    box, criu = c.sleeper(), FakeCriu(c)
    with shim.Shim(c, box, env=criu.env()) as s:
        pid = s.run(box)
        checkpoint(s, box, c.path("images"))
        options = criu.options(DUMP)
        for wanted in ("2=%d" % pid, "3=1"):
            h.true(wanted in options, "%s is not among %s" % (wanted, options))
        h.eq(shim.RUNNING, s.status(box))
        s.events.wait("create", "start", "checkpointed")
        h.eq((box.id, c.path("images")),
             (text(s.events.list[2][3], 1), text(s.events.list[2][3], 2)))


@h.test("shim checkpoint: every option reaches criu; with exit the task is stopped")
def _(c):
    box, criu = c.sleeper(), FakeCriu(c)
    with shim.Shim(c, box, env=criu.env()) as s:
        s.run(box)
        s.call("Pause", enc(_1=box.id))  # as containerd's client does it
        s.call("Resume", enc(_1=box.id))
        checkpoint(s, box, c.path("images"), _1=1, _2=1, _3=1, _4=1, _5=1, _6=["network"],
                   _7="full", _9=c.path("work"))
        options = criu.options(DUMP)
        for wanted in ("4=1", "5=1", "7=1", "8=1", "34=4", "38=%d" % 0x40000000):
            h.true(wanted in options, "%s is not among %s" % (wanted, options))
        h.true("3=1" not in options, "left running")
        h.true(os.path.isdir(c.path("work")), "no work directory")
        h.eq(137, s.wait(box))
        s.delete(box)


@h.test("shim checkpoint: what is refused")
def _(c):
    box, criu = c.sleeper(), FakeCriu(c)
    with shim.Shim(c, box, env=criu.env("no-mem-track fail")) as s:
        images = c.path("images")
        s.main.refused(shim.NOT_FOUND, "Checkpoint", enc(_1=box.id, _2=images))
        s.create(box)
        h.has("not running", s.main.refused(shim.UNKNOWN, "Checkpoint", enc(_1=box.id, _2=images)))
        s.start(box)
        s.main.refused(shim.INVALID, "Checkpoint", enc(_1=box.id, _2="relative"))
        s.main.refused(shim.INVALID, "Checkpoint",
                       enc(_1=box.id, _2=images, _3=shim.any_of("some.Other", b"")))
        h.has("full", s.main.refused(shim.UNKNOWN, "Checkpoint", enc(
            _1=box.id, _2=images, _3=shim.any_of(OPTIONS, enc(_7="fuller")))))
        h.eq(shim.RUNNING, s.status(box))


@h.test("shim restore: the process comes at the start, and lives and ends like any other")
def _(c):
    box, criu = c.sleeper(), FakeCriu(c)
    os.mkdir(c.path("images"))
    with shim.Shim(c, box, env=criu.env()) as s:
        io = s.stdio()
        pid = restored(s, box, io, c.path("images"))
        io.opened()
        h.true(pid > 0, "no pid")
        h.true("6=1" in criu.options(RESTORE), "no restore")
        state = s.state(box)
        h.eq((pid, shim.RUNNING), (one(state, 3), one(state, 4)))
        with open("/proc/%d/cgroup" % pid, encoding="ascii") as file:
            h.eq("/" + box.id, h.own_cgroup(file.read()))
        with open("/proc/%d/stat" % pid, encoding="ascii") as file:
            h.eq(s.shim_pid, int(file.read().rsplit(")", 1)[1].split()[1]), "its parent")
        s.kill(box)
        h.eq(137, s.wait(box))
        h.eq((pid, 137), (one(s.delete(box), 1), 137))
        s.events.wait("create", "start", "exit", "delete")
        io.join()
        s.shutdown()


@h.test("shim restore: one that fails, or was never started, can be deleted")
def _(c):
    box, criu = c.sleeper(), FakeCriu(c)
    with shim.Shim(c, box, env=criu.env()) as s:
        bind = enc(_1="bind", _2=box.rootfs, _4=["rbind"])
        payload = s.create_payload(box, rootfs=[bind]) + enc(_8=c.path("nowhere"))
        for start in (False, True):
            s.call("Create", payload)
            h.eq(shim.CREATED, s.status(box))
            s.main.refused(shim.FAILED, "Kill", enc(_1=box.id, _3=9))
            if start:
                said = s.main.refused(shim.UNKNOWN, "Start", enc(_1=box.id))
                h.has("OCI runtime restore failed: ", said)
                h.has("/nowhere", said)
            s.delete(box)
            with open("/proc/self/mountinfo", encoding="utf-8") as file:
                h.lacks(box.path, file.read())
        s.events.wait("create", "delete", "create", "delete")


@h.test("shim checkpoint and restore with the real criu: it counts on", needs=("criu",))
def _(c):
    box = c.bundle(["sh", "-c", COUNT])
    with shim.Shim(c, box) as s:
        io = s.stdio()
        s.run(box, io)
        h.until(lambda: io.data["stdout"].count(b"\n") >= 5, "five numbers")
        checkpoint(s, box, c.path("images"), _1=1)
        h.eq(137, s.wait(box))
        s.delete(box)
        before = [int(line) for line in io.join().split()]
        again = s.stdio("again")
        restored(s, box, again, c.path("images"))
        again.opened()
        h.until(lambda: again.data["stdout"].count(b"\n") >= 5, "five more")
        s.kill(box)
        h.eq(137, s.wait(box))
        after = [int(line) for line in again.join().split()]
        h.eq(list(range(1, 1 + len(before) + len(after))), before + after)
        s.delete(box)


if __name__ == "__main__":
    h.main()
