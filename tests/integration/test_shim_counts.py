#!/usr/bin/env python3
"""What the containerd shim's calls cost, in system calls of it and of all that it starts."""
import os
import subprocess

import harness as h
import shim
from shim import enc

# A task of the tests' bundle, whose program does nothing. A little above what was counted: how often
# the loop wakes up depends on the machine.
MOST = {"Create": 400, "Start": 110, "Delete": 85}


def traced(pid):
    with open("/proc/%d/status" % pid, encoding="ascii") as file:
        return "TracerPid:\t0\n" not in file.read()


def cost(c, s, name, act):
    """System calls made while act() runs, without those for the time: where the clock allows it
    they are none."""
    trace = c.path("trace-" + name)
    tracer = subprocess.Popen(["strace", "-f", "-qq", "-o", trace, "-p", str(s.shim_pid)])
    h.until(lambda: traced(s.shim_pid), "strace to attach")
    act()
    shim.settle(0.3)
    tracer.terminate()
    tracer.wait()
    with open(trace, encoding="utf-8", errors="replace") as file:
        lines = [line for line in file
                 if "(" in line and "<... " not in line and " clock_gettime(" not in line]
    return len(lines)


@h.test("shim: State and Connect are answered with what it takes to talk, and nothing else",
        needs=("strace",))
def _(c):
    box = c.sleeper()
    with shim.Shim(c, box) as s:
        s.run(box)
        shim.settle(1)  # its idle work is done
        count = 50
        for method in ("State", "Connect"):
            used = cost(c, s, method, lambda: [  # pylint: disable=W0640
                s.call(method, enc(_1=box.id)) for _ in range(count)])
            print("# %s: %.1f system calls" % (method, used / count))
            # epoll_wait, recvfrom, sendto
            h.true(used <= 3 * count + 20, "%d system calls for %d times %s" % (used, count, method))


@h.test("shim: a task's life in system calls", needs=("strace",))
def _(c):
    if os.environ.get("CORACLE_SANITIZED"):
        h.skip("sanitizers make calls of their own")
    first, box = c.bundle(["true"]), c.bundle(["true"])
    with shim.Shim(c, first) as s:
        s.run(first)
        s.wait(first)
        s.delete(first)  # caches are warm
        used = {"Create": cost(c, s, "Create", lambda: s.create(box)),
                "Start": cost(c, s, "Start", lambda: (s.start(box), s.wait(box))),
                "Delete": cost(c, s, "Delete", lambda: s.delete(box))}
        print("# %s" % used)
        for step, most in MOST.items():
            h.true(used[step] <= most, "%s: %d system calls" % (step, used[step]))


if __name__ == "__main__":
    h.main()
