#!/usr/bin/env python3
"""Whatever dies at whatever moment: `delete --force` makes it as if nothing had been.

FAULT_STRIDE=N tries every Nth point only; FAULT_ERRNOS="EIO ENOMEM ..." chooses the errors.
"""
import os
import shutil
import threading

import faults
import harness as h
from fake_criu import FakeCriu
from faults import STRIDE, Points, Strike
from manager import Manager

ERRNOS = os.environ.get("FAULT_ERRNOS", "EIO EINTR ENOMEM").split()
# Calls whose manual page says that EINTR is to be expected: they must be made again.
RESTARTED = {"x86_64": {"0", "1", "7", "19", "20", "42", "43", "45", "46", "47", "61", "73", "202",
                        "232", "247", "271", "281", "288"}}.get(os.uname().machine, set())
OPENAT2 = "437"
ARCH_PRCTL = "158"


def killed_at_every_call(c, args_of, prepare, box):
    """prepare(); the command is killed at call n; delete --force; for every n."""
    prepare(box)
    total = faults.count(c, args_of(box))
    c.rt("delete", "--force", box.id).ok()
    points, number = Points(c), 1
    while number <= total + 50:
        prepare(box)
        strike = Strike(c, ["-n", str(number), "-k"], args_of(box))
        if strike.hung:
            points.note(number, "hung: " + strike.words())
        points.cleaned(number, box)
        if not strike.struck and not strike.hung:
            break
        number += STRIDE
    points.judge()


def nothing(_):
    pass



@h.test("create killed at every system call")
def _(c):
    box = c.sleeper()
    killed_at_every_call(c, lambda b: ["create", "--bundle", b.path, b.id], nothing, box)


@h.test("after a killed create the id can be used again")
def _(c):
    box = c.bundle(["echo", "again"])
    total = faults.count(c, ["create", "--bundle", box.path, box.id])
    c.rt("delete", "--force", box.id).ok()
    for number in range(1, total, max(1, total // 12)):
        Strike(c, ["-n", str(number), "-k"], ["create", "--bundle", box.path, box.id])
        c.rt("delete", "--force", box.id).ok()
        h.eq("again\n", c.run(box).ok().out, "after a kill at call %d" % number)


@h.test("start killed at every system call")
def _(c):
    box = c.sleeper()
    killed_at_every_call(c, lambda b: ["start", b.id], c.create, box)


@h.test("run --detach with NOTIFY_SOCKET killed at every system call")
def _(c):
    manager = Manager(c)
    os.environ["NOTIFY_SOCKET"] = manager.name  # this process is the test's own
    threading.Thread(target=manager.hear_all, daemon=True).start()
    box = c.bundle(["sh", "-c", "probe notify READY=1; sleep 1000 & wait"])
    killed_at_every_call(c, lambda b: ["run", "-d", "--bundle", b.path, b.id], nothing, box)


@h.test("kill and delete killed at every system call")
def _(c):
    box = c.sleeper()

    def running(b):
        c.create(b)
        c.start(b)
    killed_at_every_call(c, lambda b: ["kill", b.id, "KILL"], running, box)
    killed_at_every_call(c, lambda b: ["delete", "--force", b.id], running, box)


@h.test("exec killed at every system call")
def _(c):
    box = c.sleeper()

    def running(b):
        c.create(b)
        c.start(b)
    killed_at_every_call(c, lambda b: ["exec", b.id, "true"], running, box)


@h.test("pause and resume killed at every system call")
def _(c):
    box = c.sleeper()

    def running(b):
        c.create(b)
        c.start(b)
    killed_at_every_call(c, lambda b: ["pause", b.id], running, box)


@h.test("checkpoint and restore killed at every system call, with a program in criu's place")
def _(c):
    h.only_ours("criu is called in another way")
    os.environ.update(FakeCriu(c).env())  # this process is the test's own
    images = ("--image-path", c.path("images"))
    box = c.sleeper()

    def running(b):
        c.create(b)
        c.start(b)

    killed_at_every_call(c, lambda b: ["checkpoint", *images, b.id], running, box)
    killed_at_every_call(c, lambda b: ["restore", "-d", "-b", b.path, *images, b.id], nothing, box)


@h.test("run killed at every system call")
def _(c):
    box = program(c)
    killed_at_every_call(c, lambda b: ["run", "--bundle", b.path, b.id], nothing, box)


@h.test("the init killed at every system call: create fails in words and cleans up by itself")
def _(c):
    box, args = program(c), None
    args = ["create", "--bundle", box.path, box.id]
    points, number = Points(c), 1
    while number < 2000:
        strike = Strike(c, ["-n", str(number), "-k", "-c"], args)
        if strike.hung:
            points.note(number, "hung: " + strike.words())
        if not strike.struck and not strike.hung:
            points.cleaned(number, box)
            break
        if strike.status != 0 and not strike.err.strip():
            points.note(number, "no word: " + strike.words())
        # A process that dies after its last word is a container that stopped: create was right.
        points.cleaned(number, box, delete=strike.status == 0)
        number += STRIDE
    points.judge()


@h.test("an init that is killed: exec says so, and how it ended")
def _(c):
    box = c.up(c.sleeper())
    strike = Strike(c, ["-n", "1", "-k", "-c"], ["exec", box.id, "true"])
    h.eq(255, strike.status, strike.words())
    h.match(r"container init \d+ ended before it was ready: signal 9", strike.err)


def program(c, edit=None):
    """A bundle whose program says "alive" in one system call."""
    box = c.bundle(["/bin/shout"], edit)
    shutil.copy(faults.shout(), box.file("bin/shout"))
    return box


def verdict(strike, error):
    """None, or what is wrong with the outcome of a run in which one call failed."""
    if strike.hung:
        return "hung: " + strike.words()
    if strike.fields.get("syscalls") == "1" and strike.fields.get("hit") == ARCH_PRCTL:
        return None  # musl's own start: without its thread pointer it ends the process
    if strike.fields.get("status", "").startswith("signal"):
        return "crashed: " + strike.words()
    if strike.status == 0:
        return None if "alive" in strike.out else "silent success"
    if strike.status == 9:
        return None  # the program's own write was struck
    if error == "EINTR" and strike.fields.get("hit") in RESTARTED:
        return "EINTR was not retried: " + strike.words()
    if error == "EAGAIN" and strike.fields.get("hit") == OPENAT2:
        return "EAGAIN was not retried: " + strike.words()
    if not strike.err.strip():
        return "failed without a word: " + strike.words()
    return None


def failing(error):
    @h.test("run with %s at every system call of runtime and init" % error)
    def _(c):
        box = program(c)
        args = ["run", "--bundle", box.path, box.id]
        faults.count(c, args, ["-f"])
        c.rt("delete", "--force", box.id).ok()
        points, number = Points(c), 1
        while number < 5000:
            strike = Strike(c, ["-n", str(number), "-e", error, "-f"], args)
            wrong = verdict(strike, error)
            if wrong:
                points.note(number, wrong)
            points.cleaned(number, box)
            if not strike.struck and not strike.hung:
                break
            number += STRIDE
        points.judge()


for _error in ERRNOS:
    failing(_error)


if __name__ == "__main__":
    if os.environ.get("CORACLE_SANITIZED"):
        print("1..0 # SKIP most of the calls to be struck would be the sanitizer's own")
    else:
        h.main()
