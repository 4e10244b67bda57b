#!/usr/bin/env python3
"""What the sources' tables name stands in the manual: the shim's options, and the annotations of
config.json with what becomes of them. (The options of commands are put into their page from the
tables themselves: man/page.py.)"""
import re

import source

SECTIONS = {"HONOURED": "kDone", "REFUSED": "kRefused", "WITHOUT EFFECT": "kIgnored"}


def missing(table, page):
    names = re.findall(r'\.name = "(\w+)"', table)
    words = set(re.findall(r"\w+", page))
    return ["%s is not in the page" % name for name in names if name not in words] if names \
        else ["the table has no names"]


def annotations_of_code(table):
    """{(key, treatment)} of spec/annotations.h."""
    names = dict(re.findall(r'string_view (k\w+) = "([^"]+)"', table))
    rows = re.findall(r'\{(?:"([^"]+)"|(k\w+)), Treatment::(k\w+)\}', table)
    return {(key or names[name], treatment) for key, name, treatment in rows}


def annotations_of_page(page):
    found, section = set(), None
    for line in page.replace("\\_", "_").split("\n"):
        if line.startswith("# "):
            section = SECTIONS.get(line[2:])
        elif section and line.startswith("*"):
            found |= {(key, section) for key in re.findall(r"\*([\w./-]+)\*(?==|_)", line)}
    return found


def differences(table, page):
    code, text = annotations_of_code(table), annotations_of_page(page)
    out = ["%s (%s) is not in the page" % row for row in sorted(code - text)]
    out += ["%s (%s) is not in the table" % row for row in sorted(text - code)]
    return out if code else ["the table has no annotations"]


def literals(sources):
    """Keys that are written anywhere but in the table, so that it could miss them."""
    return ["%s: %s" % (name, match.group(0)) for name, text in sources
            for match in re.finditer(r'"(?:run\.oci\.|org\.criu\.config|org\.systemd\.prop)[^"]*', text)]


def self_test(tap):
    good = missing('.name = "A", .name = "B"', "A, B\n")
    bad = missing('.name = "A", .name = "B"', "A\n")
    none = missing("", "A")
    tap.add("self-test: a missing name and an empty table are found",
            [] if (good, len(bad), len(none)) == ([], 1, 1) else ["%r %r %r" % (good, bad, none)])
    table = 'string_view kA = "a.b"; {kA, Treatment::kDone}, {"c.", Treatment::kIgnored}'
    page = "# HONOURED\n*a.b*=_X_\n# WITHOUT EFFECT\n*c.*_NAME_=_X_\n"
    got = [len(differences(table, text)) for text in
           (page, page.replace("*a.b*", "*a.c*"), page.replace("HONOURED", "REFUSED"), "")]
    tap.add("self-test: annotations that differ are found",
            [] if got == [0, 2, 2, 2] and differences("", page) else ["%r" % got])
    tap.add("self-test: a key outside of the table is found",
            [] if len(literals([("x", 'a == "run.oci.b"')])) == 1 else ["not found"])


if __name__ == "__main__":
    results = source.Tap()
    self_test(results)
    results.add("options of containerd-shim-coracle-v2(8)",
                missing(source.read("shim/containerd/options.cc"),
                        source.read("man/containerd-shim-coracle-v2.8.scd")))
    results.add("annotations of coracle-annotations(7)",
                differences(source.read("spec/annotations.h"),
                            source.read("man/coracle-annotations.7.scd")))
    results.add("their keys are written in spec/annotations.h only", literals(
        (name, source.read(name)) for name in source.tracked()
        if re.match(r"(?:spec|hooks|runtime|shim)/.*\.(?:cc|h)$", name)
        and name != "spec/annotations.h"))
    results.finish()
