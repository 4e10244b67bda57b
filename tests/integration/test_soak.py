#!/usr/bin/env python3
"""Many containers: at a time, and one after the other. Nothing is left, and nothing grows.

SOAK_PARALLEL (200) containers at a time, SOAK_SEQUENCE (2000) in sequence; a tenth of it with
sanitizers, whose programs take ten times as long.
"""
import os

import harness as h

SLOW = 10 if os.environ.get("CORACLE_SANITIZED") else 1
PARALLEL = int(os.environ.get("SOAK_PARALLEL", "200")) // SLOW
SEQUENCE = int(os.environ.get("SOAK_SEQUENCE", "2000")) // SLOW


def at_a_time(c, boxes, verb, *args, bundle=False):
    children = [c.background(verb, *args, *(["-b", box.path] if bundle else []), box.id)
                for box in boxes]
    statuses = [child.wait(120) for child in children]
    h.eq(0, sum(statuses), "failures of %s in %s" % (verb, statuses))


def machine():
    """What could grow without a process being there: mounts, cgroups, memory of the kernel."""
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        mounts = len(file.readlines())
    groups = sum(1 for _ in os.walk("/sys/fs/cgroup"))
    with open("/proc/keys", encoding="utf-8") as file:
        keys = len(file.readlines())
    return {"mounts": mounts, "cgroups": groups, "keys": keys}


@h.test("%d containers created, started and deleted at a time" % PARALLEL)
def _(c):
    before = machine()
    boxes = [c.sleeper() for _ in range(PARALLEL)]
    at_a_time(c, boxes, "create", bundle=True)
    at_a_time(c, boxes, "start")
    listed = c.rt("list", "-q").ok().out.split()
    h.eq(sorted(box.id for box in boxes), sorted(listed), "listed")
    at_a_time(c, boxes, "delete", "--force")
    h.eq("", c.rt("list", "-q").ok().out)
    after = machine()
    for what in ("mounts", "cgroups"):
        h.eq(before[what], after[what], what)


@h.test("%d containers run in sequence" % SEQUENCE)
def _(c):
    box = c.bundle(["true"])
    c.run(box).ok()
    before = machine()
    for number in range(SEQUENCE):
        done = c.run(box)
        h.eq(0, done.status, "round %d: %s" % (number, done.err))
    after = machine()
    for what in ("mounts", "cgroups"):
        h.eq(before[what], after[what], what)
    # Session keyrings go with their last process, a little later.
    h.until(lambda: machine()["keys"] <= before["keys"] + 20, "an end of the keyrings", 20)


if __name__ == "__main__":
    h.main()
