#!/usr/bin/env python3
"""What the sources' tables name stands in the manual: the shim's options. (The options of commands
are put into their page from the tables themselves: man/page.py.)"""
import re

import source


def missing(table, page):
    names = re.findall(r'\.name = "(\w+)"', table)
    words = set(re.findall(r"\w+", page))
    return ["%s is not in the page" % name for name in names if name not in words] if names \
        else ["the table has no names"]


def self_test(tap):
    good = missing('.name = "A", .name = "B"', "A, B\n")
    bad = missing('.name = "A", .name = "B"', "A\n")
    none = missing("", "A")
    tap.add("self-test: a missing name and an empty table are found",
            [] if (good, len(bad), len(none)) == ([], 1, 1) else ["%r %r %r" % (good, bad, none)])


if __name__ == "__main__":
    results = source.Tap()
    self_test(results)
    results.add("options of containerd-shim-coracle-v2(8)",
                missing(source.read("shim/containerd/options.cc"),
                        source.read("man/containerd-shim-coracle-v2.8.scd")))
    results.finish()
