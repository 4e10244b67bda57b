#!/usr/bin/env python3
"""tests/run must not take a broken test program for a good one: the reader of TAP, tested."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import source  # noqa: E402
import tap  # noqa: E402


def numbers(text, status=0, timed_out=False):
    report = tap.Report(text, status, timed_out)
    return tuple(report.count(s) for s in ("passed", "failed", "skipped"))


CASES = [
    ("good", ("1..2\nok 1 - a\nok 2 - b\n", 0), (2, 0, 0)),
    ("plan last", ("ok 1 - a\n1..1\n", 0), (1, 0, 0)),
    ("failure", ("1..2\nok 1 - a\nnot ok 2 - b\n# why\n", 1), (1, 1, 0)),
    ("too few", ("1..2\nok 1 - a\n", 0), (1, 1, 0)),
    ("too many", ("1..1\nok 1 - a\nok 2 - b\n", 0), (2, 1, 0)),
    ("no plan", ("ok 1 - a\n", 0), (1, 1, 0)),
    ("nothing", ("", 0), (0, 1, 0)),
    ("crash", ("1..1\nok 1 - a\n", -11), (1, 1, 0)),
    ("failed with status 0", ("1..1\nnot ok 1 - a\n", 0), (0, 1, 0)),
    ("time-out", ("1..1\nok 1 - a\n", 0, True), (1, 1, 0)),
    ("skip", ("1..1\nok 1 - a # SKIP no root\n", 0), (0, 0, 1)),
    ("skip as cmocka", ("1..1\nok 1 # SKIP a\n# no root\n", 0), (0, 0, 1)),
    ("skip all", ("1..0 # SKIP no root\n", 0), (0, 0, 1)),
    ("bail out", ("1..2\nok 1 - a\nBail out! no disk\n", 1), (1, 1, 0)),
    ("empty plan and an error", ("1..0\n", 3), (0, 1, 0)),
    ("two groups", ("1..1\nok 1 - a\n1..1\nok 1 - b\n", 0), (2, 0, 0)),
]

if __name__ == "__main__":
    results = source.Tap()
    for name, given, want in CASES:
        got = numbers(*given)
        results.add("tap: " + name, [] if got == want else ["wanted %s, got %s" % (want, got)])
    reason = tap.Report("1..1\nok 1 # SKIP a\n# no root\n").points[0]
    results.add("tap: reason of a cmocka skip",
                [] if (reason.name, reason.reason) == ("a", "no root") else [repr(vars(reason))])
    results.finish()
