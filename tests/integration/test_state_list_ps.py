#!/usr/bin/env python3
"""state, list, ps: what callers parse."""
import json
import os
import re

import harness as h


@h.test("state has the members that runtime-spec demands")
def _(c):
    box = c.sleeper(edit=lambda cfg: cfg.update(annotations={"org.x": "y", "a": ""}))
    c.create(box)
    state = c.state(box)
    h.match(r"^\d+\.\d+\.\d+", state["ociVersion"])
    h.eq((box.id, "created", os.path.realpath(box.path)),
         (state["id"], state["status"], os.path.realpath(state["bundle"])))
    h.eq({"org.x": "y", "a": ""}, state["annotations"])
    h.true(os.path.exists("/proc/%d/status" % state["pid"]), "pid is not a process")


@h.test("created is RFC 3339 and does not change")
def _(c):
    box = c.up(c.sleeper())
    made = c.state(box)["created"]
    h.match(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$", made)
    c.kill(box, "KILL")
    c.wait_stopped(box)
    h.eq(made, c.state(box)["created"])


@h.test("status goes created, running, paused, running, stopped")
def _(c):
    box = c.sleeper()
    seen = []
    c.create(box)
    seen.append(c.status(box))
    c.start(box)
    seen.append(c.status(box))
    c.rt("pause", box.id).ok()
    seen.append(c.status(box))
    c.rt("resume", box.id).ok()
    seen.append(c.status(box))
    c.kill(box, "KILL")
    c.wait_stopped(box)
    seen.append(c.status(box))
    h.eq(["created", "running", "paused", "running", "stopped"], seen)


@h.test("pid is 0 once stopped")
def _(c):
    box = c.bundle(["true"])
    c.create(box)
    c.start(box)
    c.wait_stopped(box)
    h.eq(0, c.state(box)["pid"])


@h.test("state of an unknown container fails")
def _(c):
    c.rt("state", "nobody").fails("does not exist")


@h.test("list names every container, in table, json and quiet form")
def _(c):
    boxes = [c.up(c.sleeper()), c.sleeper()]
    c.create(boxes[1])
    table = c.rt("list").ok().out.splitlines()
    h.match(r"^(ID|NAME)\s+PID\s+STATUS\s+BUNDLE", table[0])
    h.eq(3, len(table))
    rows = {row.split()[0]: row.split() for row in table[1:]}
    h.eq(("running", "created"), tuple(rows[b.id][2] for b in boxes))
    found = {row["id"]: row for row in json.loads(c.rt("list", "--format", "json").ok().out)}
    h.eq(sorted(b.id for b in boxes), sorted(found))
    for box in boxes:
        state = c.state(box)
        h.eq((state["pid"], state["status"]), (found[box.id]["pid"], found[box.id]["status"]))
        for key in ("bundle", "created", "owner"):
            h.true(key in found[box.id], key + " is missing")
    h.eq(sorted(b.id for b in boxes), sorted(c.rt("list", "-q").ok().out.split()))
    h.eq(json.loads(c.rt("list", "-f", "json").ok().out),
         json.loads(c.rt("list", "--format=json").ok().out))
    c.rt("list", "--format", "xml").fails()


@h.test("an empty list is a list")
def _(c):
    os.makedirs(c.root)
    h.eq(1, len(c.rt("list").ok().out.splitlines()))
    h.true(json.loads(c.rt("list", "-f", "json").ok().out) in (None, []), "not empty")
    h.eq("", c.rt("list", "-q").ok().out)


@h.test("a broken entry in the state root does not stop list")
def _(c):
    box = c.up(c.sleeper())
    os.makedirs(os.path.join(c.root, "broken"))
    done = c.rt("list", "-q")
    os.rmdir(os.path.join(c.root, "broken"))
    h.has(box.id, done.ok().out)


@h.test("ps lists the container's processes with host pids")
def _(c):
    box = c.up(c.sleeper())
    c.exec(box, "sleep", "999", options=["-d"]).ok()
    pids = json.loads(c.rt("ps", "--format", "json", box.id).ok().out)
    h.true(c.state(box)["pid"] in pids, "the first process is missing")
    h.eq(sorted(pids), sorted(int(p) for p in open(
        c.cgroup(box) + "/cgroup.procs", encoding="ascii").read().split()))
    h.eq(pids, json.loads(c.rt("ps", "-f", "json", box.id).ok().out))


@h.test("ps as a table shows commands, and takes ps's options")
def _(c):
    box = c.up(c.sleeper())
    table = c.rt("ps", box.id).ok().out.splitlines()
    h.match(r"\bPID\b", table[0])
    if not h.is_ours():
        return
    h.has("sleep 1000", "\n".join(table))
    h.match(r"\bCOMMAND\b|\bCMD\b", c.rt("ps", box.id, "-e", "-o", "pid,cmd").ok().out)


@h.test("ps of a stopped or unknown container fails")
def _(c):
    c.rt("ps", "nobody").fails("does not exist")


@h.test("pretty JSON on stdout, nothing on stderr")
def _(c):
    box = c.up(c.sleeper())
    done = c.rt("state", box.id).ok()
    h.eq("", done.err)
    h.true(re.match(r"\{\n +\"", done.out), "not pretty: " + done.out)


@h.test("state and list work for a state root that cannot be written")
def _(c):
    box = c.up(c.sleeper())
    import isolation
    isolation.mount(c.root, c.root, None, 4096)
    isolation.mount("none", c.root, None, 4096 | 32 | 1)
    try:
        h.eq("running", c.status(box))
        h.has(box.id, c.rt("list", "-q").ok().out)
    finally:
        isolation.umount(c.root)


if __name__ == "__main__":
    h.main()
