#!/usr/bin/env python3
"""The containerd shim whoever calls it: signals, limits, descriptors and environment of the caller
are neither the shim's nor a container's."""
import os
import signal
import sys

import harness as h
import shim

# What the caller does to itself before it starts the shim.
CIRCUMSTANCES = {
    "nothing": "",
    "every signal ignored":
        "[signal.signal(n, signal.SIG_IGN) for n in signal.valid_signals() - {9, 19}]",
    "every signal blocked": "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())",
    "closed 0, 1 and 2, but what start needs": "os.close(2)",
    "64 descriptors": "limit(resource.RLIMIT_NOFILE, 64, 4096)",
    "umask 0777": "os.umask(0o777)",
    "900 descriptors that it inherits":
        "limit(resource.RLIMIT_NOFILE, 1024, 1024); "
        "[os.set_inheritable(os.open('/dev/null', 0), True) for _ in range(900)]",
    "oom_score_adj 1000": "open('/proc/self/oom_score_adj', 'w').write('1000')",
    "SCHED_IDLE": "os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))",
    "no_new_privs": "ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)",
}
SCRIPT = """
import ctypes, os, resource, signal, sys
def limit(which, soft, hard): resource.setrlimit(which, (soft, hard))
%s
os.execv(sys.argv[1], sys.argv[1:])
"""
SHOWN = ("SigBlk", "SigIgn", "SigCgt")


def life(c, name, code):
    """A container's life with this caller; what its program says of itself."""
    box = c.bundle(["sh", "-c", "grep Sig /proc/self/status; umask; ls /proc/self/fd; exit 5"])
    with shim.Shim(c, box, prefix=[sys.executable, "-c", SCRIPT % code]) as s:
        io = s.stdio("io-%s" % len(c.ids))
        s.run(box, io)
        h.eq(5, s.wait(box), name)
        out = io.join()
        s.delete(box)
        s.shutdown()
    return out


for _name, _code in CIRCUMSTANCES.items():
    @h.test("shim: a caller with %s" % _name)
    def _(c, name=_name, code=_code):
        out = life(c, name, code)
        for row in SHOWN:
            h.match(r"^%s:\t0000000000000000$" % row, out, name)
        h.match(r"^0022$", out, name)
        h.eq(["0", "1", "2", "3"], out.split()[-4:], name)


@h.test("shim: the container's limit of descriptors is the caller's, not the shim's")
def _(c):
    box = c.bundle(["sh", "-c", "ulimit -Sn; ulimit -Hn"],
                   lambda config: config["process"].pop("rlimits", None))
    code = "limit(resource.RLIMIT_NOFILE, 99, 999)"
    with shim.Shim(c, box, prefix=[sys.executable, "-c", SCRIPT % code]) as s:
        with open("/proc/%d/limits" % s.shim_pid, encoding="ascii") as file:
            h.match(r"^Max open files +999 +999 ", file.read())
        io = s.stdio()
        s.run(box, io)
        h.eq(0, s.wait(box))
        h.eq("99\n999\n", io.join())


@h.test("shim: CORACLE_SHIM_IDLE is how long it stays without a container")
def _(c):
    box = c.bundle(["true"])
    with shim.Shim(c, box, env={"CORACLE_SHIM_IDLE": "1"}) as s:
        s.main.close()
        h.until(lambda: not s.pids(), "its end", 5)
        h.true(not os.path.exists(s.address[7:]), "the socket is left")
    other = c.bundle(["true"])
    with shim.Shim(c, other, env={"CORACLE_SHIM_IDLE": "soon"}, loud=True) as s:
        s.run(other)
        h.eq(0, s.wait(other))


@h.test("shim: SIGTERM ends it once there is no container, whatever the caller ignores")
def _(c):
    box = c.bundle(["true"])
    code = CIRCUMSTANCES["every signal ignored"]
    with shim.Shim(c, box, prefix=[sys.executable, "-c", SCRIPT % code]) as s:
        os.kill(s.shim_pid, signal.SIGTERM)
        h.until(lambda: not s.pids(), "its end", 5)


if __name__ == "__main__":
    h.main()
