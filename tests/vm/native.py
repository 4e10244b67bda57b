#!/usr/bin/env python3
"""Runs in the guest: tests of the other suites that many a machine skips, because they need
controllers, criu, containerd or capabilities that it has not. Prints TAP.

usage: native.py --build DIR [--everything] [--budget S] [PROGRAM[:PART]]...

By default: of the integration tests those that need something of the machine, and the programs of
WHOLE; and oci-conformance. --everything: all integration tests (an hour and more). PROGRAM is cgroup
for test_cgroup.py, PART of the name of one of its tests. --budget: what was not begun after so many
seconds is skipped.
"""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.dirname(HERE))
import tap  # noqa: E402

WHOLE = ("cgroup", "shim_containerd")  # what they need is told by their bodies, or is everything
PLACE = "/usr/local/bin/coracle"
LIMIT = 3600  # s, one program


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", required=True)
    parser.add_argument("--binary", help="the runtime (default that of the build)")
    parser.add_argument("--everything", action="store_true")
    parser.add_argument("--budget", type=float, default=float("inf"), metavar="S")
    parser.add_argument("programs", nargs="*", metavar="PROGRAM[:PART]")
    return parser.parse_args()


def environment(binary, build, scratch):
    """What meson gives these programs; the helpers lie on the guest's own disk."""
    os.makedirs(scratch, exist_ok=True)
    env = dict(os.environ, CORACLE=PLACE, RUNTIME=PLACE, CORACLE_SOURCE=ROOT,
               PYTHONDONTWRITEBYTECODE="1", CORACLE_TEST_TIMEOUT="180", OCI_CONFORMANCE_TIMEOUT="120",
               RACE_ROUNDS="20", FAULT_STRIDE="40")
    shutil.copy(binary or os.path.join(build, "runtime", "coracle"), PLACE + ".new")
    os.chmod(PLACE + ".new", 0o755)
    os.rename(PLACE + ".new", PLACE)  # the old one may be running
    for name in ("integration/probe", "integration/swapper", "fault/faultstep", "fault/shout"):
        source = os.path.join(build, "tests", name)
        if not os.path.exists(source):
            continue
        target = os.path.join(scratch, os.path.basename(name))
        shutil.copy(source, target)
        os.chmod(target, 0o755)
        env[os.path.basename(name).upper()] = target
    return env


def programs(options):
    """(title, argv) of what is to be run."""
    conformance = os.path.join(ROOT, "oci-conformance", "run")
    folder = os.path.join(ROOT, "tests", "integration")
    found = {}
    for file in sorted(os.listdir(folder)):
        if file.startswith("test_") and file.endswith(".py"):
            topic = file[len("test_"):-len(".py")]
            every = options.everything or topic in WHOLE
            found[topic] = [os.path.join(folder, file)] + ([] if every else ["--with-needs"])
    found["conformance"] = [conformance]
    if not options.programs:
        return list(found.items())
    chosen = {}
    for words in options.programs:
        title, _, part = words.partition(":")
        if title not in found:
            sys.exit("native.py: no program " + title)
        chosen.setdefault(title, list(found[title])).extend([part] if part else [])
    return list(chosen.items())


def run(argv, env):
    try:
        done = subprocess.run([sys.executable] + argv, env=env, cwd=ROOT, text=True, errors="replace",
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=LIMIT, check=False)
        return tap.Report(done.stdout, done.returncode)
    except subprocess.TimeoutExpired as late:
        return tap.Report((late.stdout or b"").decode(errors="replace"), 1, True)


def show(number, title, point):
    line = "%s %d - %s: %s" % ("not ok" if point.status == "failed" else "ok", number, title, point.name)
    if point.status == "skipped":
        line += " # SKIP " + (point.reason or "no reason given")
    print(line)
    for words in point.comments if point.status == "failed" else []:
        print("#   " + words)


def main():
    options = arguments()
    number = failed = 0
    end = time.monotonic() + options.budget
    with tempfile.TemporaryDirectory(prefix="native-", dir="/var/tmp") as scratch:
        os.chmod(scratch, 0o755)
        env = environment(options.binary, options.build, scratch)
        for title, argv in programs(options):
            begin = time.monotonic()
            report = run(argv, env) if begin < end else tap.Report("1..0 # SKIP no time is left")
            for point in report.points:
                number += 1
                failed += point.status == "failed"
                show(number, title, point)
            print("# %s: %.0f s" % (title, time.monotonic() - begin), flush=True)
    print("1..%d" % number)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
