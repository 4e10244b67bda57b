#!/usr/bin/env python3
"""clang-tidy over the product, with the .clang-tidy at the top.  usage: tidy.py BUILD [FILE...]

Slow (minutes), so a suite of its own that runs only when asked for: tests/run --suite tidy.
"""
import concurrent.futures
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import source


GCC_ONLY = re.compile(r" -f(?:no-)?(?:tree-loop-distribute-patterns|tree-\S+|ipa-\S+)")


def for_clang(entries, folder):
    """A compilation database without the options that only gcc knows."""
    for entry in entries:
        entry["command"] = GCC_ONLY.sub("", entry["command"])
    with open(os.path.join(folder, "compile_commands.json"), "w", encoding="utf-8") as file:
        json.dump(entries, file)
    return folder


def analyse(build, path):
    """The warnings of one file, each with its place relative to the root."""
    done = subprocess.run(
        ["clang-tidy", "-p", build, "--quiet", "--extra-arg=-Wno-unknown-warning-option", path],
        capture_output=True, text=True, check=False)
    # What it finds along a path into a library's header is the library's.
    lines = [line for line in done.stdout.split("\n")
             if re.search(r": (?:warning|error): ", line) and not line.startswith("/usr/")
             and "../usr/include/" not in line]
    if done.returncode and not lines:
        lines = ["%s: clang-tidy failed: %s" % (path, done.stderr.strip()[-300:])]
    return [os.path.relpath(line, source.ROOT) if line.startswith("/") else line
            for line in lines]


if __name__ == "__main__":
    results = source.Tap()
    database = os.path.join(sys.argv[1], "compile_commands.json")
    if not shutil.which("clang-tidy") or not os.path.exists(database):
        results.skip("clang-tidy", "clang-tidy or compile_commands.json is missing")
        results.finish()
    with open(database, encoding="utf-8") as file:
        entries = json.load(file)
    paths = {os.path.relpath(os.path.join(e["directory"], e["file"]), source.ROOT)
             for e in entries}
    wanted = sorted(p for p in paths if p.split("/")[0] in source.PRODUCT
                    and (len(sys.argv) < 3 or p in sys.argv[2:]))
    with tempfile.TemporaryDirectory() as folder, \
            concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for_clang(entries, folder)
        outcome = pool.map(lambda p: analyse(folder, os.path.join(source.ROOT, p)), wanted)
        for path, found in zip(wanted, outcome):
            results.add(path, sorted(set(found)))
    results.finish()
