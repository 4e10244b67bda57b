#!/usr/bin/env python3
"""The shim under a real containerd (1.6 or 1.7), by ctr. Skipped where there is none."""
import contextlib
import os
import re
import signal
import subprocess

import harness as h
import isolation
from containerd import Containerd


def nothing_left(d):
    h.until(lambda: not d.shims(), "the end of the shims")
    h.eq({}, d.tasks())
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        h.lacks("/rootfs", file.read())
    for place in ("/run/containerd/s", "/run/containerd/coracle/default"):
        if os.path.isdir(place):
            h.eq([], [n for n in os.listdir(place) if not n.startswith(".")], place)
    left = [n for n in os.listdir("/sys/fs/cgroup/default")] if os.path.isdir(
        "/sys/fs/cgroup/default") else []
    h.eq([], [n for n in left if os.path.isdir("/sys/fs/cgroup/default/" + n)], "cgroups")


@contextlib.contextmanager
def events(c, d):
    """Keeps what `ctr events` prints; from the first one on, so that none is missed."""
    with open(c.path("events"), "wb") as file:
        child = subprocess.Popen(["ctr", "events"], env=d.env, stdout=file)
    try:
        h.until(lambda: d.run("probe", "true").status == 0 and os.path.getsize(c.path("events")),
                "events to come")
        yield
    finally:
        child.kill()
        child.wait()


def told(c, name):
    """The lines of task events of one container."""
    with open(c.path("events"), encoding="utf-8") as file:
        return "".join(line for line in file
                       if "/tasks/" in line and '"container_id":"%s"' % name in line)


@h.test("ctr run: output, exit status, nothing left")
def _(c):
    with Containerd(c) as d:
        done = d.run("one", "sh", "-c", "echo out; echo err >&2; exit 7")
        h.eq((7, "out\n", "err\n"), (done.status, done.out, done.err))
        h.eq("x" * 100000, d.run("two", "sh", "-c", "head -c 100000 /dev/zero | tr '\\0' x").out)
        nothing_left(d)


@h.test("ctr run with a terminal")
def _(c):
    with Containerd(c) as d:
        done = d.ctr("run", "--rm", "-t", "--null-io", "--runtime", "io.containerd.coracle.v2",
                     "--cpu-shares", 0, "local/box:latest", "t0", "true")
        script = subprocess.run(
            ["script", "-qec", "ctr run --rm -t --runtime io.containerd.coracle.v2 --cpu-shares 0 "
             "local/box:latest t1 sh -c 'tty && stty size'", "/dev/null"], env=d.env, timeout=30,
            capture_output=True, stdin=subprocess.DEVNULL, check=False)
        h.eq(0, script.returncode, "%r %r" % (script.stdout, done.err))
        h.has(b"/dev/pts/0", script.stdout)
        nothing_left(d)


@h.test("ctr: detached, exec, pause, resume, kill, metrics, delete")
def _(c):
    with Containerd(c) as d:
        d.run("box", "sleep", "1000", options=("-d",)).ok()
        h.eq({"box": "RUNNING"}, d.tasks())
        done = d.ctr("tasks", "exec", "--exec-id", "e1", "box", "sh", "-c", "echo in; exit 3")
        h.eq((3, "in\n"), (done.status, done.out))
        h.eq(0, d.ctr("tasks", "exec", "-d", "--exec-id", "e2", "box", "sleep", "1000").status)
        h.eq(2, len(d.ctr("tasks", "ps", "box").ok().out.splitlines()[1:]))
        d.ctr("tasks", "pause", "box").ok()
        h.eq({"box": "PAUSED"}, d.tasks())
        d.ctr("tasks", "resume", "box").ok()
        d.ctr("tasks", "metrics", "box").ok()
        d.ctr("tasks", "kill", "-s", "KILL", "box").ok()
        h.until(lambda: d.tasks() == {"box": "STOPPED"}, "the end of the task")
        d.ctr("tasks", "delete", "box")
        d.ctr("containers", "delete", "box").ok()
        nothing_left(d)


@h.test("ctr events: the order that everything depends on")
def _(c):
    with Containerd(c) as d:
        with events(c, d):
            d.run("one", "sh", "-c", "exit 4")
            h.until(lambda: "/tasks/delete" in told(c, "one"), "the last event")
        topics = [line.split()[5] for line in told(c, "one").splitlines()]
        h.eq(["/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete"], topics)
        h.match("/tasks/exit .*\"exit_status\":4", told(c, "one"))


@h.test("containerd killed and restarted: tasks are found, exec'ed, and deleted")
def _(c):
    with Containerd(c) as d:
        for number in range(4):
            d.run("box%d" % number, "sleep", "1000", options=("-d",)).ok()
        shims = sorted(d.shims())
        d.crash()
        shims_after = sorted(d.shims())
        h.eq(shims, shims_after, "the shims")
        d.start()
        h.eq({"box%d" % n: "RUNNING" for n in range(4)}, d.tasks())
        h.eq("in\n", d.ctr("tasks", "exec", "--exec-id", "e", "box2", "echo", "in").ok().out)
        for number in range(4):
            d.ctr("tasks", "kill", "-s", "KILL", "box%d" % number).ok()
        h.until(lambda: set(d.tasks().values()) == {"STOPPED"}, "the end of the tasks")
        for number in range(4):
            d.ctr("tasks", "delete", "box%d" % number)
            d.ctr("containers", "delete", "box%d" % number).ok()
        nothing_left(d)


@h.test("a shim that is killed: containerd cleans up and reports 137")
def _(c):
    with Containerd(c) as d:
        with events(c, d):
            d.run("box", "sleep", "1000", options=("-d",)).ok()
            h.eq({"box": "RUNNING"}, d.tasks())
            os.kill(d.shims()[0], signal.SIGKILL)
            h.until(lambda: "/tasks/delete" in told(c, "box"), "the end of the task")
        h.match("/tasks/exit .*\"exit_status\":137", told(c, "box"))
        h.eq({}, d.tasks())
        d.ctr("containers", "delete", "box").ok()
        nothing_left(d)


@h.test("containers in parallel, containerd restarted in the middle: every status is right")
def _(c):
    count = int(os.environ.get("SHIM_PARALLEL", "20"))
    with Containerd(c) as d:
        for number in range(count):
            d.run("p%d" % number, "sh", "-c", "sleep 4; exit %d" % (number % 9),
                  options=("-d",)).ok()
        d.crash()
        d.start()
        waits = []
        h.until(lambda: set(d.tasks().values()) == {"STOPPED"}, "the end of all", 30)
        for number in range(count):
            done = d.ctr("tasks", "delete", "p%d" % number)
            said = re.search("exit code (\\d+)", done.err)  # nothing about 0
            waits.append(int(said.group(1)) if said else 0)
            d.ctr("containers", "delete", "p%d" % number).ok()
        h.eq([n % 9 for n in range(count)], waits)
        nothing_left(d)


@h.test("a program that is not there: ctr says so, and nothing is left")
def _(c):
    with Containerd(c) as d:
        done = d.run("bad", "/no/such/program")
        done.fails("no such file or directory")
        nothing_left(d)


if __name__ == "__main__":
    h.main()
