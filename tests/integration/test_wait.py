#!/usr/bin/env python3
"""wait and the exit record: who asks learns how a container ended, also when not its parent."""
import json
import os
import time

import harness as h


def kernel_tells_strangers():
    """PIDFD_GET_INFO gives the exit status since Linux 6.15."""
    major, minor = os.uname().release.split(".")[:2]
    return (int(major), int(minor.split("-")[0])) >= (6, 15)


def waiting(c, box, *options):
    """`wait` in the background; its output is in the file returned."""
    path = c.path("wait-%d" % len(c.children))
    with open(path, "wb") as out:
        child = c.background("wait", *options, box.id, stdout=out, stderr=out)
    return child, path


def ended(child, path):
    h.until(lambda: child.poll() is not None, "the end of wait")
    with open(path, encoding="utf-8") as out:
        return child.returncode, out.read()


def need_news():
    h.only_ours("only coracle has wait")
    if not kernel_tells_strangers():
        h.skip("Linux before 6.15 tells the exit status to the parent alone")


@h.test("wait prints the exit status of a container that somebody else made")
def _(c):
    need_news()
    box = c.up(c.bundle(["sh", "-c", "trap 'exit 7' TERM; echo up; while :; do sleep 0.02; done"]))
    child, path = waiting(c, box)
    time.sleep(0.3)
    c.kill(box)
    h.eq((0, "7\n"), ended(child, path))


@h.test("several may wait; a signal is 128 + its number, and json has it apart")
def _(c):
    need_news()
    box = c.up(c.sleeper())
    waiters = [waiting(c, box, "--format", "json") for _ in range(3)]
    time.sleep(0.3)  # nothing shows from outside that a waiter has its pidfd
    c.kill(box, "KILL")
    for child, path in waiters:
        status, out = ended(child, path)
        h.eq(0, status, out)
        document = json.loads(out)
        h.eq((137, 9, box.id), (document["code"], document["signal"], document["id"]))
        h.true("userUsec" in document["usage"], out)


@h.test("state shows how a container ended once somebody has waited, and wait says it again")
def _(c):
    need_news()
    box = c.up(c.sleeper())
    child, path = waiting(c, box)
    time.sleep(0.3)
    c.kill(box, "KILL")
    h.eq((0, "137\n"), ended(child, path))
    h.eq({"code": 137, "signal": 9}, {k: v for k, v in c.state(box)["exit"].items()
                                       if k in ("code", "signal")})
    h.eq("137\n", c.rt("wait", box.id).ok().out)
    h.eq(0, c.delete(box).status)


@h.test("wait goes on to the end when the container is deleted meanwhile")
def _(c):
    need_news()
    box = c.up(c.sleeper())
    child, path = waiting(c, box)
    time.sleep(0.3)
    c.delete(box, "--force").ok()
    h.eq((0, "137\n"), ended(child, path))
    c.rt("state", box.id).fails("container does not exist")


@h.test("run --keep leaves the exit record behind on every kernel")
def _(c):
    h.only_ours("the exit record")
    box = c.bundle(["sh", "-c", "exit 3"])
    h.eq(3, c.run(box, "--keep").status)
    state = c.state(box)
    h.eq(("stopped", 3), (state["status"], state["exit"]["code"]))
    h.match(r"^\d{4}-\d\d-\d\dT", state["exit"]["time"])
    h.eq("3\n", c.rt("wait", box.id).ok().out)


@h.test("a container whose end nobody saw: wait says so and why")
def _(c):
    h.only_ours("only coracle has wait")
    box = c.bundle(["true"])
    c.create(box)
    c.start(box)
    c.wait_stopped(box)
    h.until(lambda: not os.path.exists("/proc/%d" % box_pid(c, box)), "its reaping")
    c.rt("wait", box.id).fails("exit status is not known.*run --keep", status=1)
    h.lacks("exit", c.state(box))


def box_pid(c, box):
    with open(os.path.join(c.root, box.id, "state.json"), encoding="utf-8") as file:
        return json.load(file)["process"]["pid"]


@h.test("wait of an unknown container, and with an unknown format, fails")
def _(c):
    h.only_ours("only coracle has wait")
    c.rt("wait", "nobody").fails("container does not exist")
    box = c.up(c.sleeper())
    c.rt("wait", "--format", "xml", box.id).fails("--format: expected text or json, not .xml")


if __name__ == "__main__":
    h.main()
