#!/usr/bin/env python3
"""The shim under a real containerd (1.6 or 1.7), by ctr. Skipped where there is none."""
import contextlib
import os
import re
import signal
import subprocess

import harness as h
import isolation
import shim
from containerd import IMAGE, TYPE, Containerd


def nothing_left(d, seconds=5):
    h.until(lambda: not d.shims(), "the end of the shims", seconds)
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
                     "--cpu-shares", 0, IMAGE, "t0", "true")
        script = subprocess.run(
            ["script", "-qec", "ctr run --rm -t --runtime io.containerd.coracle.v2 --cpu-shares 0 "
             + IMAGE + " t1 sh -c 'tty && stty size'", "/dev/null"], env=d.env, timeout=30,
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


def start_many(d, count, body):
    """`ctr run -d` of p0, p1, ... all at once; the processes."""
    return [d.background("run", "-d", "--runtime", TYPE, "--cpu-shares", 0, IMAGE, "p%d" % number,
                         "sh", "-c", body(number)) for number in range(count)]


def collect(d, count):
    """{number: exit status} of the tasks that there are, when they have all ended; takes them and
    their containers away."""
    h.until(lambda: set(d.tasks().values()) <= {"STOPPED"}, "the end of all", 60)
    ended = {}
    for name in d.tasks():
        done = d.ctr("tasks", "delete", name)
        said = re.search("exit code (\\d+)", done.err)  # nothing about 0
        ended[int(name[1:])] = int(said.group(1)) if said else done.status
    for name in d.ctr("containers", "ls", "-q").ok().out.split():
        d.ctr("containers", "delete", name).ok()
    return ended


@h.test("50 containers started in parallel, containerd restarted in the middle: every status is right")
def _(c):
    count = int(os.environ.get("SHIM_PARALLEL", "50"))
    with Containerd(c) as d:
        # Some end before containerd goes, some while it is away, some when it is back.
        starts = start_many(d, count, lambda n: "sleep %d; exit %d" % (n % 8, n % 9))
        h.eq([0] * count, [child.wait(120) for child in starts])
        d.crash()
        shim.settle(1)
        d.start()
        h.eq({n: n % 9 for n in range(count)}, collect(d, count))
        nothing_left(d)


@h.test("containerd killed while it starts containers: what runs is right, the rest is gone")
def _(c):
    count = int(os.environ.get("SHIM_PARALLEL", "50")) // 2
    with Containerd(c) as d:
        starts = start_many(d, count, lambda n: "sleep 2; exit %d" % (n % 9))
        h.until(lambda: any(child.poll() is not None for child in starts), "the first one", 60)
        d.crash()
        for child in starts:
            child.kill()  # ctr itself would wait for containerd
            child.wait()
        d.start()
        for name, status in d.tasks().items():
            if status in ("CREATED", "UNKNOWN"):  # nobody is there any more to start it
                d.ctr("tasks", "delete", "-f", name)
        ended = collect(d, count)
        print("# %d of %d ran" % (len(ended), count))
        h.true(ended, "none had started")
        h.eq({n: n % 9 for n in ended}, ended)
        nothing_left(d, 45)  # a shim that was started and given no container stays for 30 s
        h.eq([], os.listdir("/run/containerd/state/io.containerd.runtime.v2.task/default"))


@h.test("a program that is not there: ctr says so, and nothing is left")
def _(c):
    with Containerd(c) as d:
        done = d.run("bad", "/no/such/program")
        done.fails("no such file or directory")
        nothing_left(d)


if __name__ == "__main__":
    h.main()
