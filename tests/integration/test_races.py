#!/usr/bin/env python3
"""Commands on one container at the same time: exactly one wins, and nothing is left."""
import os
import time

import harness as h


@h.test("8 creates of one id at a time: one wins")
def _(c):
    for _ in range(5):
        box = c.sleeper()
        children = [c.background("create", "-b", box.path, box.id) for _ in range(8)]
        statuses = [child.wait(20) for child in children]
        h.eq(1, statuses.count(0), "winners of %s" % statuses)
        h.eq("created", c.status(box))
        c.delete(box, "-f").ok()


@h.test("start, kill and delete at a time leave nothing after a last delete --force")
def _(c):
    for number in range(10):
        box = c.sleeper()
        c.create(box)
        children = [c.background("start", box.id), c.background("kill", box.id, "KILL"),
                    c.background("delete", "--force", box.id)]
        for child in children:
            child.wait(20)
        c.delete(box, "--force").ok()
        h.true(not os.path.exists(c.cgroup(box)), "a cgroup is left in round %d" % number)


@h.test("a kill -9 of `run` leaves nothing that delete --force does not take away")
def _(c):
    for delay in (0, 0.002, 0.005, 0.01, 0.02, 0.05):
        box = c.sleeper()
        child = c.background("run", "-b", box.path, box.id)
        time.sleep(delay)
        child.kill()
        child.wait()
        c.delete(box, "--force").ok()


if __name__ == "__main__":
    h.main()
