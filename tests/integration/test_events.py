#!/usr/bin/env python3
"""events and stats: what a container uses, its OOM kills, and the end of it; options of update."""
import json
import os
import subprocess
import time

import harness as h


def follow(c, box, *options):
    """`events` in the background; what it prints is in the file returned."""
    path = c.path("events-" + box.id)
    with open(path, "wb") as out, open(path + ".err", "wb") as err:
        child = c.background("events", *options, box.id, stdout=out, stderr=err)
    return child, path


def lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file.read().splitlines(True) if line.endswith("\n")]


def ended(child):
    try:
        return child.wait(10)
    except subprocess.TimeoutExpired:
        return h.fail("events did not end with the container")


@h.test("events --stats prints the statistics once")
def _(c):
    box = c.up(c.sleeper())
    done = c.rt("events", "--stats", box.id).ok()
    h.eq(1, done.out.count("\n"))
    event = json.loads(done.out)
    h.eq(("stats", box.id), (event["type"], event["id"]))
    data = event["data"]
    for name in ("cpu", "cpuset", "memory", "pids", "blkio", "hugetlb", "intel_rdt"):
        h.has(name, data)
    h.true(data["cpu"]["usage"]["total"] > 0, "no CPU time: %r" % data["cpu"])
    for name in ("limit", "usage", "max", "failcnt"):
        h.has(name, data["memory"]["usage"])


@h.test("events prints statistics at every interval and ends with the container")
def _(c):
    box = c.up(c.sleeper())
    start = time.monotonic()
    child, path = follow(c, box, "--interval", "200ms")
    h.until(lambda: len(lines(path)) >= 3, "three statistics")
    h.true(time.monotonic() - start >= 0.5, "three came before three intervals were over")
    h.eq({("stats", box.id)}, {(e["type"], e["id"]) for e in lines(path)})
    c.kill(box, "KILL")
    h.eq(0, ended(child))


@h.test("events waits 5 s for the first statistics, and tells the end at once all the same")
def _(c):
    box = c.up(c.sleeper())
    child, path = follow(c, box)
    time.sleep(0.3)
    h.eq([], lines(path))
    start = time.monotonic()
    c.kill(box, "KILL")
    h.eq(0, ended(child))
    h.true(time.monotonic() - start < 3, "it took %g s" % (time.monotonic() - start))


@h.test("events ends, and without an error, when the container is deleted")
def _(c):
    box = c.up(c.sleeper())
    child, path = follow(c, box, "--interval", "1ms")
    h.until(lambda: lines(path), "statistics")
    c.delete(box, "--force").ok()
    h.eq(0, ended(child), open(path + ".err", encoding="utf-8").read())


@h.test("events works from create on")
def _(c):
    box = c.bundle(["true"])
    c.create(box)
    child, path = follow(c, box, "--interval", "20ms")
    h.until(lambda: lines(path), "statistics")
    c.start(box)
    c.wait_stopped(box)
    h.eq(0, ended(child))


@h.test("events tells of an OOM kill", needs=("memory",))
def _(c):
    box = c.sleeper(edit=lambda cfg: cfg["linux"]["resources"].update(
        memory={"limit": 24 << 20, "swap": 24 << 20}))
    c.up(box)
    child, path = follow(c, box, "--interval", "1h")
    time.sleep(0.2)
    c.exec(box, "probe", "eat", "64")
    h.until(lambda: {"type": "oom", "id": box.id} in lines(path), "an oom event")
    h.eq(None, child.poll(), "events ended while the container was still there")
    c.kill(box, "KILL")
    h.eq(0, ended(child))


@h.test("events: intervals in Go's notation")
def _(c):
    h.only_ours("others round or differ")
    box = c.up(c.sleeper())
    for good in ("5s", "500ms", "1m", "1h30m", "1.5s", ".5s", "100us", "100\u00b5s", "+2s", "1ns"):
        c.rt("events", "--stats", "--interval", good, box.id).ok(good)
    for bad in ("", "0", "0s", "-5s", "5", "s", "5 s", "5sec", "1d", ".s", "1s2", "1..5s", "1e3s",
                "999999h", "pink"):
        c.rt("events", "--stats", "--interval=" + bad, box.id).fails("interval")


@h.test("events, stats: an unknown or stopped container")
def _(c):
    box = c.bundle(["true"])
    c.create(box)
    c.start(box)
    c.wait_stopped(box)
    for args in (["events"], ["events", "--stats"]) + ((["stats"],) if h.is_ours() else ()):
        c.rt(*args, "nobody").fails("container does not exist")
        c.rt(*args, box.id).fails("container not running" if h.is_ours() else None)


@h.test("stats is every file of the cgroup under the kernel's own names")
def _(c):
    h.only_ours("no such command elsewhere")
    box = c.up(c.sleeper())
    done = c.rt("stats", box.id).ok()
    h.eq(1, done.out.count("\n"))
    got = json.loads(done.out)
    h.eq(box.id, got["id"])
    h.eq(1, got["cgroup"]["events"]["populated"])
    h.true(got["cpu"]["stat"]["usage_usec"] > 0, "no CPU time: %r" % got["cpu"])
    folder = c.cgroup(box)
    if os.path.exists(folder + "/memory.pressure"):
        h.true(isinstance(got["memory"]["pressure"]["some"]["avg10"], (int, float)),
               "%r" % got["memory"])
    for name in os.listdir(folder):
        controller, rest = name.split(".", 1)
        if name.endswith((".current", ".max", ".events", ".stat")):
            try:
                with open(os.path.join(folder, name), encoding="ascii") as file:
                    file.read()
            except OSError:
                continue
            if controller in ("cpu", "memory", "pids", "io", "hugetlb") or name == "cgroup.stat":
                h.has(rest, got[controller])


@h.test("stats: limits are numbers, none is max", needs=("hugetlb",))
def _(c):
    h.only_ours("no such command elsewhere")
    box = c.up(c.sleeper(edit=lambda cfg: cfg["linux"]["resources"].update(
        unified={"hugetlb.2MB.max": "2097152"})))
    huge = json.loads(c.rt("stats", box.id).ok().out)["hugetlb"]
    h.eq((2097152, 0), (huge["2MB.max"], huge["2MB.current"]))
    c.rt("update", "-r", "-", box.id, stdin='{"unified":{"hugetlb.2MB.max":"max"}}').ok()
    h.eq("max", json.loads(c.rt("stats", box.id).ok().out)["hugetlb"]["2MB.max"])


def limits(folder):
    """Everything in the cgroup's directory that is set, not counted."""
    found = {}
    for name in sorted(os.listdir(folder)):
        if name.endswith((".max", ".weight", ".low", ".cpus", ".mems", ".freeze", ".idle")):
            with open(os.path.join(folder, name), encoding="ascii") as file:
                found[name] = file.read()
    return found


@h.test("update: an empty object and no option at all succeed and change nothing")
def _(c):
    box = c.up(c.sleeper())
    before = limits(c.cgroup(box))
    h.true(before, "no limits to compare")
    c.rt("update", "--resources", "-", box.id, stdin="{}").ok()
    h.eq(before, limits(c.cgroup(box)))
    if h.is_ours():
        c.rt("update", box.id).ok()
        h.eq(before, limits(c.cgroup(box)))


@h.test("update: where the controller is missing, the file that cannot be set is named")
def _(c):
    h.only_ours("others ignore some")
    with open("/sys/fs/cgroup/cgroup.controllers", encoding="ascii") as file:
        have = file.read().split()
    tests = (("--memory", "64M", "memory.max"), ("--memory-reservation", "1G", "memory.low"),
             ("--cpu-share", "512", "cpu.weight"), ("--cpu-quota", "5000", "cpu.max"),
             ("--cpu-burst", "5", "cpu.max.burst"),
             ("--cpu-idle", "1", "cpu.idle"), ("--cpuset-cpus", "0", "cpuset.cpus"),
             ("--cpuset-mems", "0", "cpuset.mems"), ("--pids-limit", "0", "pids.max"),
             ("--blkio-weight", "500", "io.weight"))
    missing = [t for t in tests if t[2].split(".")[0] not in have]
    if not missing:
        h.skip("all controllers are there")
    box = c.up(c.sleeper())
    for name, good, file in missing:
        c.rt("update", name, good, box.id).fails("cannot set " + file + ":")


@h.test("update: device rules are accepted and left alone")
def _(c):
    box = c.up(c.sleeper())
    c.rt("update", "-r", "-", box.id,
         stdin='{"devices":[{"allow":false,"access":"rwm"}]}').ok()
    h.eq("ok\n", c.exec(box, "probe", "open", "/dev/zero", "r").ok().out)


@h.test("update: what cgroup v2 does not have is refused, unless it is 0")
def _(c):
    h.only_ours("others ignore some")
    box = c.up(c.sleeper())
    for name in ("--cpu-rt-period", "--cpu-rt-runtime"):
        c.rt("update", name, "0", box.id).ok()
        c.rt("update", name, "1000", box.id).fails("realtime")
    for name in ("--kernel-memory", "--kernel-memory-tcp"):
        done = c.rt("update", name, "64M", box.id).ok()
        h.has("kernel memory", done.err)
        h.eq(1, done.err.count("\n"), "one warning")
    for name in ("--l3-cache-schema", "--mem-bw-schema"):
        c.rt("update", name, "L3:0=f", box.id).fails("intelRdt")


@h.test("update: bad values are refused with the option's name")
def _(c):
    h.only_ours("others take some")
    box = c.up(c.sleeper())
    for name, bad in (("--memory", "pink"), ("--memory", "-2"), ("--memory-swap", "5x"),
                      ("--cpu-share", "-1"), ("--cpu-quota", "1.5"), ("--pids-limit", "9e9"),
                      ("--cpu-period", "99999999999999999999"), ("--blkio-weight", "70000"),
                      ("--cpu-idle", "2")):
        c.rt("update", name, bad, box.id).fails("option " + name)
    for name, bad in (("--cpu-period", "5"), ("--cpu-quota", "-2"),
                      ("--blkio-weight", "5"), ("--cpuset-cpus", "a-b"), ("--pids-limit", "-2")):
        c.rt("update", name, bad, box.id).fails("linux.resources")


@h.test("update of a stopped container fails")
def _(c):
    box = c.bundle(["true"])
    c.create(box)
    c.start(box)
    c.wait_stopped(box)
    c.rt("update", "--pids-limit", "5", box.id).fails(
        "container not running" if h.is_ours() else None)


@h.test("update: places in a resources file are told")
def _(c):
    h.only_ours("others do not")
    box = c.up(c.sleeper())
    c.rt("update", "-r", "-", box.id, stdin='{\n "cpu": {"idle": 7}}').fails(
        r"stdin:2:\d+: linux\.resources\.cpu\.idle")
    c.rt("update", "-r", "-", box.id, stdin='{"unified":{"pink.max":"1"}}').fails("stdin:1:.*pink")


@h.test("update: memory with units, -1, and swap as the sum", needs=("memory",))
def _(c):
    box = c.up(c.sleeper())

    def value(name):
        with open(os.path.join(c.cgroup(box), name), encoding="ascii") as file:
            return file.read().strip()
    c.rt("update", "--memory", "64M", "--memory-reservation", "32m", box.id).ok()
    h.eq((str(64 << 20), str(32 << 20)), (value("memory.max"), value("memory.low")))
    if os.path.exists(c.cgroup(box) + "/memory.swap.max"):
        c.rt("update", "--memory", "64M", "--memory-swap", "96M", box.id).ok()
        h.eq(str(32 << 20), value("memory.swap.max"))
    c.rt("update", "--memory", "-1", "--memory-swap", "-1", box.id).ok()
    h.eq("max", value("memory.max"))


@h.test("update: quota and period keep each other; idle, burst, shares", needs=("cpu",))
def _(c):
    h.only_ours("others differ")
    box = c.up(c.sleeper())

    def value(name):
        with open(os.path.join(c.cgroup(box), name), encoding="ascii") as file:
            return file.read().strip()
    c.rt("update", "--cpu-quota", "20000", "--cpu-period", "50000", box.id).ok()
    c.rt("update", "--cpu-quota", "10000", box.id).ok()
    h.eq("10000 50000", value("cpu.max"))
    c.rt("update", "--cpu-period", "40000", "--cpu-burst", "5000", box.id).ok()
    h.eq(("10000 40000", "5000"), (value("cpu.max"), value("cpu.max.burst")))
    c.rt("update", "--cpu-share", "100", box.id).ok()
    h.eq("17", value("cpu.weight"))
    c.rt("update", "--cpu-idle", "1", box.id).ok()
    h.eq("1", value("cpu.idle"))


if __name__ == "__main__":
    h.main()
