#!/usr/bin/env python3
"""Runs one fuzz target; TAP.  usage: run_target.py PROGRAM NAME

First every input of corpus/NAME, then FUZZ_SECONDS (20) of new ones, which are made from the
corpus, from the target's own mutator, and from the words in the product's sources. What is found
is written to artifacts/ beside the program, and run again by `PROGRAM FILE`. Inputs that reach new
code are kept only with FUZZ_KEEP=DIRECTORY; `PROGRAM -merge=1 corpus/NAME DIRECTORY/NAME` takes the
smallest set of them into the tree.
"""
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
WORDS_OF = ("spec", "runtime/plan", "runtime/store", "runtime/systemd", "shim/containerd")
SHOWN = 512  # bytes of an input in a report
LIMITS = ["-timeout=5", "-rss_limit_mb=512", "-malloc_limit_mb=64", "-max_len=16384",
          "-print_final_stats=1"]


def dictionary():
    """The words that the product compares with, as libFuzzer's dictionary."""
    words = set()
    for folder in WORDS_OF:
        for name in sorted(os.listdir(os.path.join(ROOT, folder))):
            if not name.endswith((".cc", ".h")):
                continue
            with open(os.path.join(ROOT, folder, name), encoding="utf-8") as file:
                words.update(re.findall(r'"([!#-\[\]-~][ !#-\[\]-~]{0,30})"', file.read()))
    return "".join('"%s"\n' % word for word in sorted(words))


def environment():
    env = dict(os.environ)
    # Freed memory that the sanitizer keeps would count as the target's.
    env["ASAN_OPTIONS"] = "quarantine_size_mb=16:detect_leaks=1:allocator_may_return_null=0"
    env["UBSAN_OPTIONS"] = "print_stacktrace=1:halt_on_error=1"
    return env


def run(command):
    return subprocess.run(command, env=environment(), stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.STDOUT, errors="replace", check=False)


def finding(done):
    """What went wrong, in lines: the report without libFuzzer's progress, and the input."""
    if done.returncode == 0:
        return []
    lines = [line for line in done.stdout.splitlines() if not re.match(r"#\d+\s", line)]
    match = re.search(r"written to (\S+)", done.stdout)
    if match and os.path.exists(match.group(1)):
        with open(match.group(1), "rb") as file:
            lines.append("input: %r" % file.read()[:SHOWN])
    return lines[-60:] or ["ended with status %d" % done.returncode]


def told(number, name, lines):
    print("%s %d - %s" % ("not ok" if lines else "ok", number, name))
    for line in lines:
        print("# " + line)
    sys.stdout.flush()
    return bool(lines)


def reached(done):
    """Edges covered and inputs run, out of the last line of progress and the statistics."""
    edges = re.findall(r"cov: (\d+)", done.stdout)
    runs = re.findall(r"number_of_executed_units: (\d+)", done.stdout)
    return "%s edges, %s inputs" % (edges[-1] if edges else 0, runs[-1] if runs else 0)


def fuzz(program, name, seconds, scratch):
    words = os.path.join(scratch, "words")
    with open(words, "w", encoding="utf-8") as file:
        file.write(dictionary())
    artifacts = os.path.join(os.path.dirname(program), "artifacts")
    kept = os.path.join(os.environ.get("FUZZ_KEEP") or scratch, name)
    for folder in (artifacts, kept):
        os.makedirs(folder, exist_ok=True)
    return run([program, "-max_total_time=%d" % seconds, "-dict=" + words, *LIMITS,
                "-artifact_prefix=%s/%s-" % (artifacts, name), kept,
                os.path.join(HERE, "corpus", name)])


def main():
    program, name = os.path.abspath(sys.argv[1]), sys.argv[2]
    seconds = int(os.environ.get("FUZZ_SECONDS") or 20)
    corpus = os.path.join(HERE, "corpus", name)
    seeds = [os.path.join(corpus, seed) for seed in sorted(os.listdir(corpus))]
    print("1..2")
    done = run([program, *LIMITS, *seeds])
    failed = told(1, "%s: %d inputs of the corpus" % (name, len(seeds)), finding(done))
    with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch:
        done = fuzz(program, name, seconds, scratch)
    failed |= told(2, "%s: %d s of new inputs" % (name, seconds), finding(done))
    print("# " + reached(done))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
