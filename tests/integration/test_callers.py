#!/usr/bin/env python3
"""What a caller has done to its own process must not reach the container, nor stop the runtime."""
import contextlib
import signal

import harness as h

SHOW = ["grep", "-E", "^(SigIgn|SigBlk):", "/proc/self/status"]
CLEAN = "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"
IGNORED = (signal.SIGCHLD, signal.SIGUSR1, signal.SIGPIPE, 40, 64)
BLOCKED = (signal.SIGCHLD, signal.SIGTERM, 41)


@contextlib.contextmanager
def signals_of_a_daemon():
    before = {number: signal.signal(number, signal.SIG_IGN) for number in IGNORED}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, BLOCKED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in before.items():
            signal.signal(number, handler)


@h.test("run: ignored and blocked signals of the caller, SIGCHLD and real-time ones among them")
def _(c):
    box = c.bundle(SHOW)
    with signals_of_a_daemon():
        h.eq(CLEAN, c.run(box).ok().out)


@h.test("exec: the same")
def _(c):
    box = c.up(c.sleeper())
    with signals_of_a_daemon():
        h.eq(CLEAN, c.rt("exec", box.id, *SHOW).ok().out)


@h.test("hooks: the same, and their status is known")
def _(c):
    def edit(config):
        config["hooks"] = {"createRuntime": [{
            "path": "/bin/sh", "env": ["PATH=/bin:/usr/bin"],
            "args": ["sh", "-c", "grep -E '^(SigIgn|SigBlk):' /proc/self/status > " + c.path("o")]}]}
    with signals_of_a_daemon():
        c.run(c.bundle(["true"], edit)).ok()
    with open(c.path("o"), encoding="ascii") as file:
        h.eq(CLEAN, file.read())


if __name__ == "__main__":
    h.main()
