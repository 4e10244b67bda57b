#!/usr/bin/env python3
"""Every C++ file is as clang-format with the .clang-format at the top writes it."""
import re
import shutil
import subprocess
import sys

import source

FORMATTER = shutil.which("clang-format") or shutil.which("clang-format-14")


def differs(paths):
    """What clang-format would change, one finding a place."""
    if not paths:
        return []
    done = subprocess.run([FORMATTER, "--dry-run", "--style=file"] + paths, capture_output=True,
                          text=True, cwd=source.ROOT, check=False)
    out = [line for line in done.stderr.split("\n") if "clang-format" in line]
    if done.returncode and not out:
        out = [done.stderr.strip() or "clang-format failed"]
    return [re.sub(r" warning: code should be clang-formatted.*", " is not formatted", line)
            for line in out]


def check_text(text):
    done = subprocess.run([FORMATTER, "--style=file", "--assume-filename=spec/x.cc"], input=text,
                          capture_output=True, text=True, cwd=source.ROOT, check=True)
    return [] if done.stdout == text else ["differs"]


if __name__ == "__main__":
    results = source.Tap()
    if not FORMATTER:
        results.skip("layout", "clang-format is not installed")
        results.finish()
        sys.exit(0)
    source.must_find(results, "layout", check_text, ["int  f( ){return 1;}\n"],
                     ["int f() { return 1; }\n"])
    names = [n for n in source.tracked() if n.endswith(source.CODE)]
    results.add("layout of %d files" % len(names), differs(names))
    results.finish()
