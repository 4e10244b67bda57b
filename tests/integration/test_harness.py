#!/usr/bin/env python3
"""The harness itself: a runtime that leaves something behind must not pass. The runtime here is a
shell script that leaves one thing of each kind."""
import os
import subprocess
import sys

import harness as h

HERE = os.path.dirname(os.path.abspath(__file__))
TEST = """
import sys
sys.path.insert(0, %r)
import harness as h

@h.test("one")
def _(c):
    box = c.bundle(["true"])
    c.rt("create", "-b", box.path, box.id)%s

h.main()
"""
RUNTIME = """#!/bin/sh
# arguments: --root R COMMAND ...
root=$2
mkdir -p "$root"
case $3 in
create) %s ;;
delete) %s ;;
esac
"""


def outcome(c, leave, delete="true", more=""):
    """TAP of a little test program against a runtime whose create does `leave`."""
    fake, program = c.path("fake"), c.path("program.py")
    with open(fake, "w", encoding="ascii") as file:
        file.write(RUNTIME % (leave, delete))
    os.chmod(fake, 0o755)
    with open(program, "w", encoding="ascii") as file:
        file.write(TEST % (HERE, more))
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=60,
                          env=dict(os.environ, RUNTIME=fake, CORACLE_TEST_TIMEOUT="2"))
    return done.returncode, done.stdout


def caught(c, words, *args, **keywords):
    status, out = outcome(c, *args, **keywords)
    h.eq(1, status, out)
    h.has("not ok 1 - one", out)
    h.has(words, out)


@h.test("a runtime that leaves nothing passes")
def _(c):
    status, out = outcome(c, "true")
    h.eq((0, "1..1\nok 1 - one\n"), (status, out))


@h.test("a process left behind is found and ended")
def _(c):
    caught(c, "process ", "sleep 77 > /dev/null 2>&1 &")
    h.eq("", subprocess.run(["pgrep", "-f", "^sleep 77$"], capture_output=True, text=True).stdout)


@h.test("a cgroup left behind is found and removed")
def _(c):
    caught(c, "cgroup left", "mkdir /sys/fs/cgroup/left")


@h.test("a mount left behind is found and removed")
def _(c):
    caught(c, "mount /mnt", "mount -t tmpfs x /mnt")


@h.test("a file in the state root is found")
def _(c):
    caught(c, "state file rest", "touch $root/rest")


@h.test("a failing delete --force is found")
def _(c):
    caught(c, "delete --force", "true", "exit 3")


@h.test("a changed /dev/null is found")
def _(c):
    caught(c, "/dev/null changed", "chown 7 /dev/null")  # the test's own: isolation._private_null


@h.test("a command that fails without a word or by a signal is not a proper failure")
def _(c):
    caught(c, "without a word", "exit 1", more=".fails()")
    caught(c, "by a signal", "kill -SEGV $$", more=".fails()")
    caught(c, "should have failed", "true", more=".fails()")
    caught(c, "does not match", "echo other >&2; exit 1", more=".fails('wanted')")


@h.test("a command that hangs is ended")
def _(c):
    caught(c, "did not end", "exec sleep 78")


if __name__ == "__main__":
    h.main()
