#!/usr/bin/env python3
"""faultstep does what its top comment says.  usage: faultstep_test.py PATH-OF-faultstep"""
import re
import subprocess
import sys
import tempfile

FAULTSTEP = sys.argv[1]


def step(*args, command=("true",)):
    """Returns (exit status, report as a dict, stdout, stderr)."""
    with tempfile.NamedTemporaryFile("r") as report:
        done = subprocess.run([FAULTSTEP, *args, "-o", report.name, "--", *command], text=True,
                              capture_output=True, timeout=30)
        return (done.returncode, dict(re.findall(r"(\w+)=(\S+)", report.read())), done.stdout,
                done.stderr)


def check(condition, what):
    if not condition:
        raise AssertionError(str(what))


def counting_is_steady():
    first, second = step("-C"), step("-C")
    check(first[0] == 0 and first[1]["hit"] == "none", first)
    check(int(first[1]["syscalls"]) > 3 and int(first[1]["maxrss"]) > 0, first)
    check(first[1]["syscalls"] == second[1]["syscalls"], (first, second))


def status_is_the_command_s():
    check(step("-C", command=("sh", "-c", "exit 7"))[0] == 7, "exit 7")
    check(step("-C", command=("sh", "-c", "kill -TERM $$"))[0] == 143, "SIGTERM")


def kills_at_every_call():
    total = int(step("-C", command=("echo", "x"))[1]["syscalls"])
    for number in range(1, total + 1):
        done = step("-n", str(number), "-k", command=("echo", "x"))
        check(done[0] == 137 and done[1]["syscalls"] == str(number), (number, done))
    beyond = step("-n", str(total + 1), "-k", command=("echo", "x"))
    check(beyond[0] == 0 and beyond[1]["hit"] == "none" and beyond[2] == "x\n", beyond)


def error_reaches_the_program():
    total = int(step("-C", command=("cat", "/etc/hostname"))[1]["syscalls"])
    words = {step("-n", str(n), "-e", "ENOSPC", command=("cat", "/etc/hostname"))[3].strip()
             for n in range(1, total + 1)}
    check(any("No space left" in w for w in words), words)


def children_count_only_when_asked():
    command = ("sh", "-c", "/bin/true; /bin/true; exit 0")
    alone, followed = step("-C", command=command), step("-C", "-f", command=command)
    children = step("-C", "-c", command=command)
    numbers = [int(r[1]["syscalls"]) for r in (alone, followed, children)]
    check(numbers[0] < numbers[1] and numbers[0] + numbers[2] == numbers[1], numbers)
    check(followed[1]["execs"] == "2" and followed[1]["tasks"] == "3", followed)


def child_is_killed_the_parent_lives():
    done = step("-n", "1", "-c", "-k", command=("sh", "-c", "/bin/true; echo $?"))
    check(done[0] == 0 and done[2] == "137\n", done)


def whole_set_is_killed():
    # The loop goes on making calls, however few the environment lets the shell start with.
    busy = "sleep 100 & while true; do /bin/true; done; echo no"
    done = step("-n", "300", "-f", "-k", command=("sh", "-c", busy))
    check(done[0] == 137 and done[2] == "", done)


def time_limit():
    done = step("-C", "-f", "-t", "1", command=("sh", "-c", "sleep 100; echo no"))
    check(done[0] == 124 and done[1]["status"] == "timeout:1" and done[2] == "", done)


def wrong_use_is_refused():
    for args in (["-n", "1", "--", "true"], ["-n", "1", "-k", "-e", "EIO", "--", "true"], [],
                 ["-n", "1", "-e", "ENOSUCH", "--", "true"]):
        done = subprocess.run([FAULTSTEP, *args], capture_output=True, text=True)
        check(done.returncode == 125 and done.stderr, (args, done))


TESTS = [counting_is_steady, status_is_the_command_s, kills_at_every_call,
         error_reaches_the_program, children_count_only_when_asked,
         child_is_killed_the_parent_lives, whole_set_is_killed, time_limit, wrong_use_is_refused]

if __name__ == "__main__":
    print("1..%d" % len(TESTS))
    failed = 0
    for number, test in enumerate(TESTS, 1):
        try:
            test()
            print("ok %d - %s" % (number, test.__name__))
        except Exception as error:  # every failure becomes one TAP line
            failed += 1
            print("not ok %d - %s" % (number, test.__name__))
            print("".join("# %s\n" % line for line in str(error).splitlines()), end="")
    sys.exit(1 if failed else 0)
