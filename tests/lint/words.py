#!/usr/bin/env python3
"""Words that may not stay in the tree: promises, and names of one machine.

Promises (to-do marks and the like) are either kept or dropped before a commit. Paths of one
machine and host names of package registries make a build work in one place only.
"""
import re

import source

# Written in pieces so that this file does not find itself.
PROMISE = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK|TB" r"D)\b|\b(?:not "
                     r"implemented|not yet "
                     r"implemented|unim" r"plemented)\b|\b(?i:st" r"ub(?:s|bed)?)\b")
MACHINE = re.compile(r"(?<![\w.$}])/(?:wo" r"rk/|root/\.|Us" r"ers/)|\.py" r"env|"
                     r"/tmp/ba" r"sh_jobs")
HOME = re.compile(r"(?<![\w.$}])/ho" r"me/[a-z]")  # in a test it is data
REGISTRY = re.compile(r"\b(?:deb\.deb" r"ian\.org|pypi\.o" r"rg|crates\.i" r"o|proxy\.gol"
                      r"ang\.org|registry\.np" r"mjs\.org|docker\.i" r"o(?=/)|quay\.i" r"o|gh"
                      r"cr\.io)\b")
RULES = ((PROMISE, "a promise"), (MACHINE, "a path of one machine"),
         (REGISTRY, "the host name of a registry"))
BINARY = (".png", ".gz", ".tar", ".zst", ".bin", ".ico")
# Data that we do not write: the corpus of hostile inputs may contain anything.
DATA = ("tests/fuzz/corpus/", "subprojects/")


def findings(name, text):
    out = []
    for number, line in enumerate(text.split("\n"), 1):
        rules = RULES if name.startswith("tests/") else RULES + ((HOME, "somebody's folder"),)
        for rule, what in rules:
            match = rule.search(line)
            if match:
                out.append("%s:%d: %r is %s" % (name, number, match.group(0), what))
    return out


def self_test(tap):
    source.must_find(
        tap, "promises, machine paths, registries", lambda text: findings("x", text),
        ["// TO" "DO: later", "x  # FIX" "ME", "a St" "ub for", "is not " "implemented",
         "/wo" "rk/main/x", '"/ho' 'me/joe/x"', "http://deb.deb" "ian.org/", "x.py" "env/bin"],
        ["todos los dias", "stubborn", "$HOME/x", "build/work/x", "/root/dir", "workdir: a/work/b",
         "/proc/self", "HOME=/root"])


if __name__ == "__main__":
    results = source.Tap()
    self_test(results)
    names = [n for n in source.tracked() if not n.endswith(BINARY) and not n.startswith(DATA)]
    results.add("no such words in %d files" % len(names),
                [f for name in names for f in findings(name, source.read(name))])
    results.finish()
