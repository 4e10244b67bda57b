#!/usr/bin/env python3
"""pause and resume."""
import time

import harness as h

COUNT = "echo up; i=0; while :; do i=$((i+1)); echo $i > /count; done"


def count(box):
    try:
        with open(box.file("count"), encoding="ascii") as file:
            return int(file.read() or 0)
    except (OSError, ValueError):
        return None


@h.test("a paused container does nothing until it is resumed")
def _(c):
    box = c.up(c.bundle(["sh", "-c", COUNT]))
    h.until(lambda: (count(box) or 0) > 0, "counting")
    c.rt("pause", box.id).ok()
    h.eq("paused", c.status(box))
    before = open(box.file("count"), encoding="ascii").read()
    time.sleep(0.1)
    h.eq(before, open(box.file("count"), encoding="ascii").read())
    c.rt("resume", box.id).ok()
    h.eq("running", c.status(box))
    h.until(lambda: open(box.file("count"), encoding="ascii").read() not in ("", before),
            "counting again")


@h.test("pause covers execs and children")
def _(c):
    box = c.up(c.sleeper())
    c.exec(box, "sh", "-c", COUNT, options=["-d"]).ok()
    h.until(lambda: (count(box) or 0) > 0, "counting")
    c.rt("pause", box.id).ok()
    before = open(box.file("count"), encoding="ascii").read()
    time.sleep(0.1)
    h.eq(before, open(box.file("count"), encoding="ascii").read())


@h.test("pause of a container that does not run fails")
def _(c):
    c.rt("pause", "nobody").fails("does not exist")
    box = c.bundle(["true"])
    c.create(box)
    c.start(box)
    c.wait_stopped(box)
    c.rt("pause", box.id).fails()
    c.rt("resume", box.id).fails()


@h.test("resume of a container that is not paused fails and leaves it running")
def _(c):
    box = c.up(c.sleeper())
    c.rt("resume", box.id).fails()
    h.eq("running", c.status(box))


@h.test("SIGKILL reaches a paused container")
def _(c):
    box = c.up(c.sleeper())
    c.rt("pause", box.id).ok()
    c.kill(box, "KILL")
    c.wait_stopped(box)


if __name__ == "__main__":
    h.main()
