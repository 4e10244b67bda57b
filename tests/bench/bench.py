#!/usr/bin/env python3
"""What a container costs, counted and compared.

usage: bench.py [--runtime PATH] [--peer PATH]... [--pairs N] [--idle-pairs N] [--plain] [--gate]

Counts (system calls, execs, page faults, memory) say the same on every machine; --gate prints
only those of the runtime, as TAP, against their limits. Times are worth something only as ratios
within one run: runtime and peers take turns, and each figure is the median of the pairs' ratios
(below 1: we are faster). The second table repeats the comparison after 250 ms of quiet before
each run: real callers come alone, and some kernel paths are slow then (a write to cgroup.procs
waits for an RCU grace period). Needs root; runs in private namespaces like the integration tests.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "integration"))
import docker_like  # noqa: E402
import isolation  # noqa: E402

LIMITS = (("syscalls", 315, "system calls of a whole run"),
          ("private_dirty", 128 << 10, "bytes of private memory of a container that waits"),
          ("binary", 4 << 20, "bytes of the stripped binary"))
STEPS = ("create", "start", "state", "exec", "kill", "delete")


class Subject:
    """One runtime: where its state is, which bundle it runs, and how."""

    def __init__(self, path, scratch, taken=()):
        self.path, self.name = shutil.which(path), os.path.basename(path)
        while self.name in taken:  # two builds of one runtime
            self.name += "'"
        self.root = os.path.join(scratch, "state-" + self.name)
        self.serial = 0

    def argv(self, *args):
        return [self.path, "--root", self.root, *args]

    def fresh(self):
        self.serial += 1
        return "%s-%d" % (self.name.replace("'", "_"), self.serial)


def spawn(argv, cwd="/"):
    """Runs argv with nothing on its standard streams; returns wall s, CPU s, rusage, status."""
    null = os.open("/dev/null", os.O_RDWR)
    actions = [(os.POSIX_SPAWN_DUP2, null, n) for n in (0, 1, 2)]
    start = time.perf_counter()
    pid = os.posix_spawn(argv[0], argv, os.environ, file_actions=actions)
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - start
    os.close(null)
    return wall, usage.ru_utime + usage.ru_stime, usage, os.waitstatus_to_exitcode(status)


def run_once(subject, bundle):
    return spawn(subject.argv("run", "--bundle", bundle, subject.fresh()))


def why_not(subject, bundle):
    """None, or why this runtime cannot run the bundle here."""
    done = subprocess.run(subject.argv("run", "--bundle", bundle, subject.fresh()),
                          capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    return None if done.returncode == 0 else (done.stderr.strip().split("\n")[-1] or
                                              "status %d" % done.returncode)


# ---- counts ----------------------------------------------------------------------------------

def count(subject, faultstep, *args):
    """syscalls, execs and tasks of one command with all its descendants."""
    with tempfile.NamedTemporaryFile("r") as report:
        subprocess.run([faultstep, "-f", "-C", "-o", report.name, "--", *subject.argv(*args)],
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
        return {k: v for k, v in (word.split("=") for word in report.read().split())}


def waiting_init(subject, bundle):
    """Memory of the process that waits for start, in bytes: private dirty, PSS, RSS."""
    name = subject.fresh()
    if spawn(subject.argv("create", "--bundle", bundle, name))[3]:
        raise RuntimeError("create failed")
    try:
        state = subprocess.run(subject.argv("state", name), capture_output=True, check=True)
        with open("/proc/%d/smaps_rollup" % json.loads(state.stdout)["pid"],
                  encoding="ascii") as file:
            fields = {line.split(":")[0]: int(line.split()[1]) << 10 for line in file
                      if line.endswith("kB\n")}
    finally:
        spawn(subject.argv("delete", "--force", name))
    return fields


def stripped(path):
    """Size without symbols; of what cannot be stripped (a script) the size as it is."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = os.path.join(scratch, "copy")
        done = subprocess.run(["strip", "-o", copy, path], capture_output=True, check=False)
        return os.path.getsize(path if done.returncode else copy)


def counts(subject, faultstep, bundle, sleeper):
    """Every figure that does not depend on time."""
    run_once(subject, bundle)  # caches, if the runtime has any
    whole = count(subject, faultstep, "run", "--bundle", bundle, subject.fresh())
    usage = [run_once(subject, bundle)[2] for _ in range(5)]
    memory = waiting_init(subject, sleeper)
    figures = {"syscalls": int(whole["syscalls"]), "execs": int(whole["execs"]) + 1,
               "tasks": int(whole["tasks"]),
               "page_faults": statistics.median(u.ru_minflt for u in usage),
               "peak_rss": int(whole["maxrss"]) << 10,
               "private_dirty": memory["Private_Dirty"], "pss": memory["Pss"],
               "binary": stripped(subject.path)}
    name = subject.fresh()
    for step, args in steps(sleeper, name):
        figures["syscalls_" + step] = int(count(subject, faultstep, *args)["syscalls"])
        if step == "kill":
            settle(subject, name)
    return figures


def steps(bundle, name):
    return (("create", ("create", "--bundle", bundle, name)), ("start", ("start", name)),
            ("state", ("state", name)), ("exec", ("exec", name, "/bin/nothing")),
            ("kill", ("kill", name, "KILL")), ("delete", ("delete", name)))


def settle(subject, name):
    """Waits until the killed container is stopped; the exam of delete is not the wait."""
    end = time.monotonic() + 5
    while time.monotonic() < end:
        done = subprocess.run(subject.argv("state", name), capture_output=True, check=False)
        if done.returncode or b'"stopped"' in done.stdout:
            return
        time.sleep(0.002)


# ---- times -----------------------------------------------------------------------------------

def paired(subjects, bundle, pairs, pause=0.0):
    """{name: [(wall, cpu), ...]}, the subjects taking turns."""
    times = {subject.name: [] for subject in subjects}
    for _ in range(pairs):
        for subject in subjects:
            time.sleep(pause)
            wall, cpu, _, status = run_once(subject, bundle)
            if status:
                raise RuntimeError("%s run failed with %d" % (subject.name, status))
            times[subject.name].append((wall, cpu))
    return times


def paired_steps(subjects, sleeper, pairs):
    """{step: {name: [(wall, cpu), ...]}} of the commands of one container's life."""
    times = {step: {s.name: [] for s in subjects} for step in STEPS}
    for _ in range(pairs):
        for subject in subjects:
            name = subject.fresh()
            for step, args in steps(sleeper, name):
                wall, cpu, _, status = spawn(subject.argv(*args))
                if status:
                    spawn(subject.argv("delete", "--force", name))
                    raise RuntimeError("%s %s failed with %d" % (subject.name, step, status))
                times[step][subject.name].append((wall, cpu))
                if step == "kill":
                    settle(subject, name)
    return times


def ratio(ours, theirs, column):
    return statistics.median(a[column] / b[column] for a, b in zip(ours, theirs) if b[column])


def show_ratios(title, rows, subjects):
    ours, peers = subjects[0].name, subjects[1:]
    print("\n%s" % title)
    print("  %-10s %-22s" % ("", ours + " wall/CPU ms") +
          "".join("%-26s" % ("ratio to " + p.name) for p in peers))
    for label, times in rows:
        line = "  %-10s %8.2f / %-11.2f" % (
            label, statistics.median(t[0] for t in times[ours]) * 1e3,
            statistics.median(t[1] for t in times[ours]) * 1e3)
        for peer in peers:
            line += "%8.3f / %-15.3f" % (ratio(times[ours], times[peer.name], 0),
                                         ratio(times[ours], times[peer.name], 1))
        print(line)


def show_counts(figures):
    names = list(figures)
    print("  %-18s" % "" + "".join("%20s" % n for n in names))
    for key in figures[names[0]]:
        print("  %-18s" % key + "".join("%20d" % figures[n][key] for n in names))


# ---- main ------------------------------------------------------------------------------------

def build(source, target, flags):
    subprocess.run(["c++", "-std=c++20", "-D_GNU_SOURCE", "-O2", "-static", *flags, source, "-o",
                    target], check=True)
    return target


def tools(scratch):
    """faultstep and the container's program: $FAULTSTEP and $NOTHING, or compiled now."""
    faultstep = os.environ.get("FAULTSTEP") or build(
        os.path.join(HERE, "../fault/faultstep.cc"), os.path.join(scratch, "faultstep"), [])
    nothing = os.environ.get("NOTHING") or build(
        os.path.join(HERE, "nothing.cc"), os.path.join(scratch, "nothing"),
        ["-nostdlib", "-fno-stack-protector", "-fno-pic", "-no-pie"])
    return faultstep, nothing


def bundles(scratch, nothing, options):
    change = docker_like.plain if options.plain else lambda config: config
    return [docker_like.make(os.path.join(scratch, name), name, args, change, [nothing])
            for name, args in (("once", ["/bin/nothing"]), ("waits", ["/bin/sleep", "1000"]))]


def gate(subject, faultstep, bundle, sleeper):
    reason = why_not(subject, bundle)
    if reason:
        print("1..1\nnot ok 1 - the bundle runs\n# " + reason)
        return 1
    figures, failed = counts(subject, faultstep, bundle, sleeper), 0
    print("1..%d" % len(LIMITS))
    for number, (key, limit, words) in enumerate(LIMITS, 1):
        good = figures[key] <= limit
        failed += not good
        print("%s %d - %s: %d, at most %d" % ("ok" if good else "not ok", number, words,
                                              figures[key], limit))
    return 1 if failed else 0


def compare(subjects, faultstep, bundle, sleeper, options):
    subjects = [subjects[0]] + [p for p in subjects[1:] if not report_unable(p, bundle)]
    if report_unable(subjects[0], bundle):
        return 1
    print("bundle: %s, %d bytes of config.json" % (
        "plain" if options.plain else "Docker-like",
        os.path.getsize(os.path.join(bundle, "config.json"))))
    show_counts({s.name: counts(s, faultstep, bundle, sleeper) for s in subjects})
    show_ratios("run, %d pairs" % options.pairs,
                [("run", paired(subjects, bundle, options.pairs))], subjects)
    show_ratios("run after 250 ms of quiet, %d pairs" % options.idle_pairs,
                [("run", paired(subjects, bundle, options.idle_pairs, 0.25))], subjects)
    by_step = paired_steps(subjects, sleeper, max(3, options.pairs // 2))
    show_ratios("single commands", [(step, by_step[step]) for step in STEPS], subjects)
    return 0


def report_unable(subject, bundle):
    reason = why_not(subject, bundle)
    if reason:
        print("%s cannot run the bundle here: %s" % (subject.name, reason))
    return reason is not None


def measure(options):
    with tempfile.TemporaryDirectory(prefix="coracle-bench-") as scratch:
        os.chmod(scratch, 0o755)
        faultstep, nothing = tools(scratch)
        bundle, sleeper = bundles(scratch, nothing, options)
        subjects = []
        for path in [options.runtime] + options.peer:
            if shutil.which(path):
                subjects.append(Subject(path, scratch, [s.name for s in subjects]))
        if options.gate:
            return gate(subjects[0], faultstep, bundle, sleeper)
        return compare(subjects, faultstep, bundle, sleeper, options)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runtime", default=os.environ.get("CORACLE") or
                        os.path.join(TOP, "build/runtime/coracle"))
    parser.add_argument("--peer", action="append", help="default: crun, if it is on PATH")
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--idle-pairs", type=int, default=12)
    parser.add_argument("--plain", action="store_true", help="a bundle without engines' extras")
    parser.add_argument("--gate", action="store_true", help="check the counts only, as TAP")
    options = parser.parse_args()
    options.peer = options.peer or ["crun"]
    reason = isolation.unable()
    if not shutil.which(options.runtime):
        reason = "the runtime %s is not built" % options.runtime
    if reason:
        print("1..0 # SKIP " + reason if options.gate else reason)
        return 0 if options.gate else 1
    return isolation.inside(lambda: measure(options))


if __name__ == "__main__":
    sys.exit(main())
