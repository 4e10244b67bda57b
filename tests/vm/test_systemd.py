#!/usr/bin/env python3
"""The systemd cgroup driver against a real systemd: to be run as root in the test machine, prints
TAP.

usage: test_systemd.py CORACLE [--faultstep PROGRAM] [--budget S] [PART-OF-A-NAME]...

Bundles lie below /run; the root file system is the machine's busybox. Commands as a user run by
as-user (see this folder's README); a part whose tool is missing is skipped and says so.
"""
import argparse
import os
import shutil
import signal
import sys
import time

sys.dont_write_bytecode = True
import systemd_driver  # noqa: E402,F401
import systemd_engines  # noqa: E402,F401
import systemd_faults  # noqa: E402
from systemd_box import CORACLE, PLACE, TESTS, try_one  # noqa: E402

LATE = ("ok", " # SKIP no time is left", "")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("coracle")
    parser.add_argument("--faultstep")
    parser.add_argument("--kill-points", default=",".join(map(str, range(5, 235, 15))),
                        help="calls of create at which it is killed, each in a run of its own")
    parser.add_argument("--budget", type=float, default=float("inf"), metavar="S",
                        help="what was not begun after so many seconds is skipped")
    parser.add_argument("parts", nargs="*")
    options = parser.parse_intermixed_args()
    shutil.copy(options.coracle, CORACLE + ".new")
    os.chmod(CORACLE + ".new", 0o755)
    os.rename(CORACLE + ".new", CORACLE)  # the old one may be running
    systemd_faults.OPTIONS["faultstep"] = options.faultstep
    systemd_faults.OPTIONS["kill_points"] = [int(n) for n in options.kill_points.split(",")]
    chosen = [one for one in TESTS if not options.parts or any(p in one[0] for p in options.parts)]
    print("1..%d" % len(chosen))
    failed, end = 0, time.monotonic() + options.budget
    for number, (name, function) in enumerate(chosen, 1):
        begin = time.monotonic()
        verdict, tail, words = try_one(function) if begin < end else LATE
        failed += verdict != "ok"
        print("%s %d - %s%s" % (verdict, number, name, tail))
        for line in words.splitlines():
            print("#   " + line)
        print("#   %.1f s" % (time.monotonic() - begin), flush=True)
    shutil.rmtree(PLACE, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    sys.exit(main())
