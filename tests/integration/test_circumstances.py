#!/usr/bin/env python3
"""Every command where something is amiss around it: no such container, the wrong state, standard
descriptors closed, a full disk. A clear message, the right exit status, and nothing changed."""
import json
import os
import subprocess

import harness as h

# Every command that takes an ID, with what else it needs.
BY_ID = (("state",), ("start",), ("kill",), ("delete",), ("ps",), ("pause",), ("resume",),
         ("update", "--pids-limit", "5"), ("events", "--stats"), ("stats",), ("wait",),
         ("checkpoint",))


def call(c, words, box_id, **more):
    return c.rt(words[0], *words[1:], box_id, **more)


@h.test("every command says of an unknown container that it does not exist")
def _(c):
    h.only_ours("the list of commands")
    for words in BY_ID:
        call(c, words, "nobody").fails("container does not exist", status=1)
    c.rt("exec", "nobody", "true").fails("container does not exist", status=255)
    c.rt("mounts", "list", "nobody").fails("container does not exist", status=1)
    h.eq([], os.listdir(c.root) if os.path.exists(c.root) else [])


@h.test("every command refuses a container in the wrong state, and leaves it as it is")
def _(c):
    h.only_ours("the list of commands")
    box = c.up(c.sleeper())
    for words, reason in ((("start",), "already running"), (("delete",), "not stopped: running"),
                          (("resume",), "not paused")):
        call(c, words, box.id).fails(reason, status=1)
    c.try_create(box).fails("already exists")
    c.rt("pause", box.id).ok()
    c.exec(box, "true").fails("paused", status=255)
    call(c, ("pause",), box.id).fails("paused|not running")
    h.eq("paused", c.status(box))
    c.rt("resume", box.id).ok()
    h.eq("running", c.status(box))
    c.kill(box, "KILL")
    c.wait_stopped(box)
    for words in (("start",), ("kill",), ("pause",), ("resume",), ("update", "--pids-limit", "5"),
                  ("events", "--stats")):
        call(c, words, box.id).fails("stopped|not running|not paused", status=1)
    c.exec(box, "true").fails("stopped", status=255)
    h.eq("stopped", c.status(box))


def closed():
    """For a child: 0, 1 and 2 are closed."""
    for number in (0, 1, 2):
        os.close(number)


@h.test("with standard input, output and error closed, no file of ours takes their place")
def _(c):
    box = c.bundle(["sh", "-c", "ls -l /proc/self/fd > /seen; sleep 0.1"])
    argv = h.runtime() + ["--root", c.root]
    for words in (["run", "--bundle", box.path, box.id], ["list"], ["state", "nobody"]):
        child = subprocess.Popen(argv + words, preexec_fn=closed, cwd=c.scratch)
        h.eq(words[0] == "state", child.wait(20) != 0, " ".join(words))
    with open(box.file("seen"), encoding="utf-8") as file:
        seen = [line.split(" -> ")[1].strip() for line in file if " -> " in line]
    h.true(len(seen) >= 3, str(seen))
    h.true(all(place in ("/dev/null", "/seen") or place.startswith("/proc/") for place in seen),
           str(seen))


def full(c):
    """Makes the state root a file system that is full; returns what takes it away again."""
    os.makedirs(c.root, mode=0o700, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k,mode=700", "tmpfs", c.root],
                   check=True)

    def fill():
        file = os.open(os.path.join(c.root, ".ballast"), os.O_WRONLY | os.O_CREAT)
        try:
            while True:
                os.write(file, b"x" * 4096)
        except OSError:
            os.close(file)
    return fill, lambda: subprocess.run(["umount", "-l", c.root], check=True)


@h.test("create on a full disk says so and leaves nothing")
def _(c):
    h.only_ours("the words")
    fill, end = full(c)
    try:
        fill()
        box = c.sleeper()
        c.try_create(box).fails("No space left on device", status=1)
        c.run(box).fails("No space left on device", status=1)
        h.eq([".ballast"], os.listdir(c.root))
        h.true(not os.path.exists(c.cgroup(box)), "its cgroup")
    finally:
        end()


@h.test("what exists can be used and deleted although the disk is full")
def _(c):
    h.only_ours("the promise")
    fill, end = full(c)
    try:
        box, other = c.up(c.sleeper()), c.up(c.sleeper())
        fill()
        h.eq("running", c.status(box))
        h.eq(2, len(json.loads(c.rt("list", "--format", "json").ok().out)))
        h.eq("x\n", c.exec(box, "echo", "x").ok().out)
        c.kill(box, "KILL")
        c.wait_stopped(box)
        c.delete(box).ok()
        c.delete(other, "--force").ok()
        h.eq([".ballast"], os.listdir(c.root))
    finally:
        end()


if __name__ == "__main__":
    h.main()
