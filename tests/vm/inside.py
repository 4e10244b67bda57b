#!/usr/bin/env python3
"""Runs in the guest: every scenario with every runtime; prints a table and TAP.

usage: inside.py --binary PATH [--runtime NAME]... [--peers FILE] [--save FILE] [--group G]... [PART]...

A scenario fails when coracle fails it and a peer passes it: a peer of this run, or one of the
saved table (--peers). What no peer passes either is shown as skipped.
"""
import argparse
import importlib
import json
import os
import shutil
import sys
import time
import traceback

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import scenario as s  # noqa: E402

MODULES = ("direct", "ctr", "cri", "podman", "podman_settings", "rootless", "build", "checkpoint",
           "docker", "devices", "words")
PEERS = ("crun", "runc")
PLACE = "/usr/local/bin/coracle"
SHIM = "/usr/local/bin/containerd-shim-coracle-v2"
SAID = {}  # title -> runtime -> how failures were worded


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", required=True, help="the runtime under test, BUILD/runtime/...")
    parser.add_argument("--build", help="where the tests' helpers are (default: where BINARY is)")
    parser.add_argument("--runtime", action="append", help="coracle, crun, runc (default coracle)")
    parser.add_argument("--peers", help="a saved table of the peers' results")
    parser.add_argument("--save", help="where to save this run's results")
    parser.add_argument("--group", action="append", help="only these groups")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--budget", type=float, default=float("inf"), metavar="S",
                        help="what was not begun after so many seconds is left out")
    parser.add_argument("parts", nargs="*", help="parts of scenarios' titles")
    return parser.parse_args()


def has_apparmor():
    """Only a machine started for it has: scenarios of its own."""
    place = "/sys/module/apparmor/parameters/enabled"
    return os.path.exists(place) and s.read(place) == "Y"


def chosen(options):
    for name in MODULES + (("apparmor",) if has_apparmor() else ()):
        importlib.import_module("scenarios_" + name)
    found = [one for one in s.registered()
             if (not options.group or one.group in options.group) and
             (not options.parts or any(part in one.title for part in options.parts))]
    if options.parts and options.budget < float("inf"):  # what is named first matters most
        found.sort(key=lambda one: [part in one.title for part in options.parts].index(True))
    return found


def shipped(name):
    """A file that `meson install` would install, with the place of the binary here."""
    with open(os.path.join(HERE, "..", "..", "tools", "etc", name), encoding="utf-8") as file:
        return file.read().replace("@bindir@", os.path.dirname(PLACE))


def put(source, target):
    """In the place of a file that may be running."""
    shutil.copy(source, target + ".new")
    os.chmod(target + ".new", 0o755)
    os.rename(target + ".new", target)


def install(binary, build):
    """The runtime, the engines' configuration for it, and the scenarios' helper."""
    put(binary, PLACE)
    if not os.path.exists(SHIM):
        os.symlink(os.path.basename(PLACE), SHIM)
    build = build or os.path.dirname(os.path.dirname(binary))
    os.makedirs(s.DATA, exist_ok=True)
    put(os.path.join(build, "tests", "integration", "probe"), s.PROBE)
    folder = "/etc/containers/containers.conf.d"
    os.makedirs(folder, exist_ok=True)
    with open(folder + "/coracle.conf", "w", encoding="utf-8") as file:
        file.write(shipped("coracle.conf.in"))
    config = json.loads(shipped("daemon.json.in"))
    config["runtimes"]["crun"] = {"path": shutil.which("crun")}
    with open(s.DATA + "/daemon.json", "w", encoding="utf-8") as file:
        json.dump(config, file)
    with open(s.DATA + "/containerd.toml", "w", encoding="utf-8") as file:
        file.write(shipped("containerd.toml.in"))


def try_one(one, runtime, shared):
    """Returns (verdict, words): pass, FAIL or none (does not apply)."""
    if one.only and runtime not in one.only:
        return "none", "not about this runtime"
    path = PLACE if runtime == "coracle" else shutil.which(runtime)
    trial = s.Trial(runtime, path, shared)
    try:
        one.function(trial)
        return "pass", ""
    except s.Skip as reason:
        return "none", str(reason)
    except s.Failure as words:
        return "FAIL", str(words)
    except Exception:  # a defect of the scenario itself is its failure
        return "FAIL", traceback.format_exc()
    finally:
        trial.clean_up()
        SAID.setdefault(one.title, {})[runtime] = trial.said


def run_all(scenarios, runtimes, budget):
    end = time.monotonic() + budget
    results = {one.title: {} for one in scenarios}
    for runtime in runtimes:
        shared = {}
        for one in scenarios:
            begin = time.monotonic()
            verdict, words = try_one(one, runtime, shared) if begin < end else ("late", "")
            results[one.title][runtime] = verdict
            print("# %-4s %5.1f s  %-7s %s" % (verdict, time.monotonic() - begin, runtime,
                                               one.title), flush=True)
            for line in words.splitlines()[:40]:
                print("#          | " + line, flush=True)
        for undo in shared.get("undo", []):
            s.Trial(runtime, "", shared).sh(undo)
    return results


def load(path):
    if not path or not os.path.exists(path):
        return {"results": {}, "said": {}}
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def save(results, path):
    """The peers' results, over what the file has of other scenarios."""
    saved = load(path)
    for new, old in ((results, saved["results"]), (SAID, saved["said"])):
        for title, row in new.items():
            mine = {runtime: row[runtime] for runtime in PEERS if row.get(runtime)}
            if mine:
                old.setdefault(title, {}).update(mine)
    titles = [one.title for one in s.registered()]
    for key in saved:
        saved[key] = {title: saved[key][title] for title in titles if title in saved[key]}
    with open(path, "w", encoding="utf-8") as file:
        json.dump(saved, file, indent=1)
        file.write("\n")


def add_saved(results, path):
    saved = load(path)
    for title, row in results.items():
        for new, old in ((row, saved["results"].get(title, {})),
                         (SAID.setdefault(title, {}), saved["said"].get(title, {}))):
            for peer in PEERS:
                if peer not in new and peer in old:
                    new[peer] = old[peer]


def words():
    """How each runtime words the same failure, one below the other."""
    print("#\n# what is printed")
    for title, row in SAID.items():
        for index in range(max([len(said) for said in row.values()] or [0])):
            for runtime in ("coracle",) + PEERS:
                if index < len(row.get(runtime, [])):
                    print("# %-8s %s" % (runtime, row[runtime][index]))


def table(results):
    columns = [r for r in ("coracle",) + PEERS if any(r in row for row in results.values())]
    width = max(len(title) for title in results)
    print("#\n# %-*s  %s" % (width, "scenario", "  ".join("%-7s" % c for c in columns)))
    for title, row in results.items():
        print("# %-*s  %s" % (width, title, "  ".join("%-7s" % row.get(c, "-") for c in columns)))
    for column in columns:
        verdicts = [row.get(column, "none") for row in results.values()]
        print("# %s: %d pass, %d fail" % (column, verdicts.count("pass"), verdicts.count("FAIL")))


def tap(results):
    print("1..%d" % len(results))
    failed = 0
    for number, (title, row) in enumerate(results.items(), 1):
        own = row.get("coracle", "none")
        peers = [row[p] for p in PEERS if row.get(p) in ("pass", "FAIL")]
        line = "ok %d - %s" % (number, title)
        if own == "FAIL" and peers and "pass" not in peers:
            line += " # SKIP no runtime passes it here"
        elif own == "FAIL":
            line, failed = "not " + line, failed + 1
        elif own == "late":
            line += " # SKIP no time is left"
        elif own == "none":
            line += " # SKIP not tried with coracle"
        print(line)
    return failed


def main():
    options = arguments()
    scenarios = chosen(options)
    if options.list:
        print("\n".join(one.title for one in scenarios))
        return 0
    runtimes = options.runtime or ["coracle"]
    install(options.binary, options.build)
    os.chdir("/var/tmp")  # programs leave files where they are
    results = run_all(scenarios, runtimes, options.budget)
    if options.save:
        save(results, options.save)
    add_saved(results, options.peers)
    table(results)
    words()
    return 1 if tap(results) else 0


if __name__ == "__main__":
    sys.exit(main())
