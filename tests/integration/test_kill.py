#!/usr/bin/env python3
"""kill: which signal, to whom, and in which status."""
import os

import harness as h

TRAPS = "for s in HUP INT USR1 USR2 WINCH TERM; do trap \"echo $s\" $s; done; " \
        "trap 'exit 5' QUIT; echo up; while :; do sleep 0.02; done"


@h.test("kill sends SIGTERM when no signal is named")
def _(c):
    box = c.up(c.bundle(["sh", "-c", TRAPS]))
    c.kill(box)
    h.until(lambda: "TERM" in c.output(box), "TERM")


@h.test("signals by name, with or without SIG, in any case, and by number")
def _(c):
    box = c.up(c.bundle(["sh", "-c", TRAPS]))
    for given, seen in (("HUP", "HUP"), ("SIGINT", "INT"), ("usr1", "USR1"), ("sigusr2", "USR2"),
                        ("28", "WINCH"), ("15", "TERM")):
        c.kill(box, given)
        h.until(lambda: seen in c.output(box).split(), seen)


@h.test("an unknown signal is refused and nothing is sent")
def _(c):
    box = c.up(c.sleeper())
    for signal in ("NOPE", "SIGNOPE", "0x9", "9x", "-1", "65", "100", "", " 9"):
        c.rt("kill", box.id, signal).fails()
        h.eq("running", c.status(box))


@h.test("kill KILL ends the container")
def _(c):
    box = c.up(c.sleeper())
    c.kill(box, "KILL")
    c.wait_stopped(box)
    h.eq(0, c.state(box)["pid"])


@h.test("kill of a created container works")
def _(c):
    box = c.sleeper()
    c.create(box)
    c.kill(box, "9")
    c.wait_stopped(box)


@h.test("kill of a stopped container fails with the words that containerd looks for")
def _(c):
    box = c.bundle(["true"])
    c.create(box)
    c.start(box)
    c.wait_stopped(box)
    c.rt("kill", box.id, "TERM").fails("container not running|no such process|already finished")


@h.test("kill of an unknown container fails with the words that containerd looks for")
def _(c):
    c.rt("kill", "nobody", "TERM").fails("does not exist")


@h.test("kill --all reaches every process of the cgroup")
def _(c):
    box = c.bundle(["sh", "-c", "echo up; sleep 1000 & sleep 1000"])
    box.config["linux"]["namespaces"] = [
        n for n in box.config["linux"]["namespaces"] if n["type"] != "pid"]
    box.write()
    c.up(box)
    c.rt("kill", "--all", box.id, "KILL").ok()
    c.wait_stopped(box)
    h.until(lambda: not open(c.cgroup(box) + "/cgroup.procs", encoding="ascii").read(),
            "the cgroup to be empty")


@h.test("SIGKILL of a container in the host's pid namespace ends all its processes")
def _(c):
    h.only_ours("older runtimes leave children")
    box = c.bundle(["sh", "-c", "sleep 1000 & echo up; sleep 1000"])
    box.config["linux"]["namespaces"] = [
        n for n in box.config["linux"]["namespaces"] if n["type"] != "pid"]
    box.write()
    c.up(box)
    c.kill(box, "KILL")
    h.until(lambda: not open(c.cgroup(box) + "/cgroup.procs", encoding="ascii").read(),
            "the cgroup to be empty")


@h.test("... and what outlived the first process, too")
def _(c):
    h.only_ours("runc since 1.2")
    box = c.bundle(["sh", "-c", "sleep 1000 & echo up; exec sleep 1000"])
    box.config["linux"]["namespaces"] = [
        n for n in box.config["linux"]["namespaces"] if n["type"] != "pid"]
    box.write()
    c.up(box)
    os.kill(c.state(box)["pid"], 9)
    c.wait_stopped(box)
    c.rt("kill", box.id, "TERM").fails("container not running")
    with open(c.cgroup(box) + "/cgroup.procs", encoding="ascii") as file:
        h.eq(1, len(file.read().split()))
    c.rt("kill", box.id, "KILL").ok()
    h.until(lambda: open(c.cgroup(box) + "/cgroup.procs", encoding="ascii").read() == "", "the end")
    c.rt("kill", box.id, "KILL").fails("container not running")


@h.test("SIGTERM ends a container that waits for start, though nothing in it handles it")
def _(c):
    h.only_ours("runc's init handles it, crun's does not")
    for name in ("TERM", "INT", "HUP", "QUIT"):
        box = c.bundle(["sleep", "1000"])
        c.create(box)
        c.rt("kill", box.id, name).ok()
        c.wait_stopped(box)
    # The program gets none of this.
    box = c.bundle(["grep", "SigCgt", "/proc/self/status"])
    c.create(box)
    c.start(box)
    c.wait_stopped(box)
    h.eq("SigCgt:\t0000000000000000\n", c.output(box))


@h.test("kill does not touch a stranger that got the pid")
def _(c):
    box = c.up(c.sleeper())
    pid = c.state(box)["pid"]
    c.kill(box, "KILL")
    c.wait_stopped(box)
    c.rt("kill", box.id, "KILL").fails()
    h.true(not os.path.exists("/proc/%d/root/bin/busybox" % pid), "the process is still there")


@h.test("a real-time signal by number arrives")
def _(c):
    box = c.up(c.sleeper())
    h.eq("running", c.status(box))
    c.kill(box, "64")
    c.wait_stopped(box) if c.status(box) == "stopped" else None


@h.test("kill --regex signals those whose id matches, and no other")
def _(c):
    if "runc" in h.runtime()[0]:
        h.skip("runc has no --regex")
    boxes = [c.up(c.bundle(["sh", "-c", TRAPS], name=name)) for name in ("rx-a", "rx-b", "ry-a")]
    c.rt("kill", "--regex", "^rx-.$", "USR1").ok()
    for box in boxes[:2]:
        h.until(lambda box=box: "USR1" in c.output(box).split(), "USR1 in " + box.id)
    h.lacks("USR1", c.output(boxes[2]))


@h.test("kill --regex: one that has ended keeps no other from its signal, and is named")
def _(c):
    h.only_ours("the words")
    gone = c.bundle(["true"], name="rz-a")
    c.create(gone)
    c.start(gone)
    c.wait_stopped(gone)
    box = c.up(c.bundle(["sh", "-c", TRAPS], name="rz-b"))
    c.rt("kill", "-r", "^rz-", "USR1").fails("rz-a: container not running")
    h.until(lambda: "USR1" in c.output(box).split(), "USR1")
    c.rt("kill", "-r", "(", "USR1").fails("--regex")
    c.rt("kill", "-r", "^none$", "USR1").ok()


if __name__ == "__main__":
    h.main()
