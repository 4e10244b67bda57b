#!/usr/bin/env python3
"""cgroups: place, limits, update, delegation, what is refused."""
import json
import os
import re

import harness as h


def value(c, box, name):
    with open(os.path.join(c.cgroup(box), name), encoding="ascii") as file:
        return file.read().strip()


def limited(**resources):
    return lambda config: config["linux"]["resources"].update(resources)


@h.test("the container is in the cgroup of cgroupsPath, born there")
def _(c):
    box = c.up(c.sleeper(edit=lambda cfg: cfg["linux"].update(cgroupsPath="/a/b/c")))
    pid = c.state(box)["pid"]
    h.has(str(pid), value(c, box, "cgroup.procs").split())
    h.eq("/a/b/c", h.own_cgroup(open("/proc/%d/cgroup" % pid, encoding="ascii").read()))
    c.delete(box, "-f").ok()
    for name in ("a/b", "a"):  # levels above are not the container's and may stay
        if os.path.isdir("/sys/fs/cgroup/" + name):
            os.rmdir("/sys/fs/cgroup/" + name)


@h.test("without cgroupsPath there is a cgroup of the container's own all the same")
def _(c):
    box = c.sleeper(edit=lambda cfg: cfg["linux"].pop("cgroupsPath"))
    c.up(box)
    pid = c.state(box)["pid"]
    path = h.own_cgroup(open("/proc/%d/cgroup" % pid, encoding="ascii").read())
    h.has(box.id, path)
    h.eq([str(pid)], [p for p in open("/sys/fs/cgroup%s/cgroup.procs" % path, encoding="ascii"
                                      ).read().split() if p == str(pid)])


@h.test("the container sees its own cgroup as the root")
def _(c):
    out = c.check_output(["sh", "-c", "cat /proc/self/cgroup; ls /sys/fs/cgroup/cgroup.procs"])
    h.eq("/", h.own_cgroup(out))


@h.test("cgroupsPath with .. is refused and makes nothing")
def _(c):
    h.only_ours("others accept it (CVE class: path traversal)")
    for path in ("/../../x", "/x/../../y", "..", "/a/..", "../x"):
        c.run(c.bundle(["true"], lambda cfg, p=path: cfg["linux"].update(cgroupsPath=p))).fails()
    h.eq([], [n for n in os.listdir("/sys/fs/cgroup") if n in ("x", "y", "a")])


@h.test("a cgroup in use is refused, and what runs in it stays")
def _(c):
    first = c.up(c.sleeper())
    path = first.config["linux"]["cgroupsPath"]
    second = c.bundle(["true"], lambda cfg: cfg["linux"].update(cgroupsPath=path))
    c.run(second).fails("container's cgroup is not empty")
    h.eq("running", c.status(first))
    c.try_create(second).fails("container's cgroup is not empty")
    h.eq("running", c.status(first))
    c.rt("state", second.id).fails("does not exist")


@h.test("delete of a create that died leaves a cgroup that another container has")
def _(c):
    h.only_ours("it is about our record")
    first = c.up(c.sleeper())
    with open(os.path.join(c.root, first.id, "state.json"), encoding="utf-8") as file:
        record = json.load(file)
    record.update(id="died", phase="creating", creator={"pid": 1, "startTime": 1})
    record.pop("process", None)
    os.mkdir(os.path.join(c.root, "died"), 0o700)
    with open(os.path.join(c.root, "died", "state.json"), "w", encoding="utf-8") as file:
        json.dump(record, file)
    c.rt("delete", "--force", "died").ok()
    c.rt("state", "died").fails("does not exist")
    h.eq("running", c.status(first))


@h.test("a frozen cgroup is refused, not waited for")
def _(c):
    h.only_ours("others differ")
    os.mkdir("/sys/fs/cgroup/taken")
    with open("/sys/fs/cgroup/taken/cgroup.freeze", "w", encoding="ascii") as file:
        file.write("1")
    box = c.bundle(["true"], lambda cfg: cfg["linux"].update(cgroupsPath="/taken"))
    c.run(box).fails("container's cgroup unexpectedly frozen")
    c.try_create(box).fails("container's cgroup unexpectedly frozen")
    os.rmdir("/sys/fs/cgroup/taken")


@h.test("hugepageLimits", needs=("hugetlb",))
def _(c):
    size = [n.split(".")[1] for n in os.listdir("/sys/fs/cgroup/harness")
            if n.startswith("hugetlb.") and n.endswith(".max")]
    name = size[0] if size else "2MB"
    box = c.up(c.sleeper(edit=limited(hugepageLimits=[{"pageSize": name, "limit": 4 << 20}])))
    h.eq(str(4 << 20), value(c, box, "hugetlb.%s.max" % name))
    if h.is_ours():
        h.eq(str(4 << 20), value(c, box, "hugetlb.%s.rsvd.max" % name))


@h.test("unified writes any file of the cgroup", needs=("hugetlb",))
def _(c):
    box = c.up(c.sleeper(edit=limited(unified={"hugetlb.2MB.max": "2097152"})))
    h.eq("2097152", value(c, box, "hugetlb.2MB.max"))


@h.test("unified: an absent controller, a slash or a bad name are refused")
def _(c):
    for key in ("pink.max", "../hugetlb.max", "memory/max", "nodot", ""):
        c.run(c.bundle(["true"], limited(unified={key: "1"}))).fails()


@h.test("unified: a file that sets no limit is refused, by run and by update")
def _(c):
    h.only_ours("others write what they are given")
    box = c.up(c.sleeper())
    for key in ("cgroup.freeze", "cgroup.procs", "cgroup.threads", "cgroup.kill", "cgroup.type",
                "cgroup.subtree_control", "cgroup.pressure", "memory.reclaim", "memory.peak",
                "memory.pressure", "cpu.pressure", "memory.current", "memory.events.local",
                "cpuset.cpus.effective", "io.stat"):
        c.rt("update", "-r", "-", box.id, stdin=json.dumps({"unified": {key: "1"}}), timeout=5) \
            .fails(re.escape(key) + ".* is not a limit")
        c.run(c.bundle(["true"], limited(unified={key: "1"})), timeout=5).fails("is not a limit")
    with open(c.cgroup(box) + "/cgroup.events", encoding="ascii") as file:
        h.has("frozen 0", file.read())
    c.rt("update", "-r", "-", box.id, stdin='{"unified":{"cgroup.max.descendants":"7"}}').ok()
    h.eq("7", value(c, box, "cgroup.max.descendants"))


@h.test("memory limits", needs=("memory",))
def _(c):
    box = c.up(c.sleeper(edit=limited(memory={"limit": 64 << 20, "reservation": 32 << 20,
                                              "swap": 96 << 20})))
    h.eq(str(64 << 20), value(c, box, "memory.max"))
    h.eq(str(32 << 20), value(c, box, "memory.low"))
    if os.path.exists(c.cgroup(box) + "/memory.swap.max"):
        h.eq(str(32 << 20), value(c, box, "memory.swap.max"))


@h.test("a container over its memory limit is killed, not the caller", needs=("memory",))
def _(c):
    box = c.bundle(["probe", "eat", "64"], limited(memory={"limit": 16 << 20, "swap": 16 << 20}))
    h.eq(137, c.run(box).status)


@h.test("a container starts under a limit of 2 MiB", needs=("memory",))
def _(c):
    h.only_ours("start-up memory is ours")
    box = c.bundle(["true"], limited(memory={"limit": 2 << 20}))
    c.run(box).ok()


@h.test("pids limit; 0 is a limit", needs=("pids",))
def _(c):
    box = c.up(c.sleeper(edit=limited(pids={"limit": 17})))
    h.eq("17", value(c, box, "pids.max"))
    c.delete(box, "-f").ok()
    box = c.up(c.sleeper(edit=limited(pids={"limit": -1})))
    h.eq("max", value(c, box, "pids.max"))
    if not h.is_ours():
        return
    c.delete(box, "-f").ok()
    box = c.sleeper(edit=limited(pids={"limit": 0}))
    box.config["ociVersion"] = "1.3.0"
    box.write()
    c.up(box)
    h.eq("1", value(c, box, "pids.max"))


@h.test("cpu shares, quota and period", needs=("cpu",))
def _(c):
    box = c.up(c.sleeper(edit=limited(cpu={"shares": 100, "quota": 5000, "period": 20000})))
    h.eq("5000 20000", value(c, box, "cpu.max"))
    if h.is_ours():
        h.eq("17", value(c, box, "cpu.weight"))


@h.test("cpuset", needs=("cpuset",))
def _(c):
    box = c.up(c.sleeper(edit=limited(cpu={"cpus": "0", "mems": "0"})))
    h.eq("0", value(c, box, "cpuset.cpus"))


@h.test("a limit whose controller is missing is refused by name")
def _(c):
    h.only_ours("others ignore some")
    with open("/sys/fs/cgroup/cgroup.controllers", encoding="ascii") as file:
        have = file.read().split()
    tests = {"memory": {"memory": {"limit": 64 << 20}}, "pids": {"pids": {"limit": 5}},
             "cpu": {"cpu": {"quota": 5000}}, "cpuset": {"cpu": {"cpus": "0"}}}
    missing = [n for n in tests if n not in have]
    if not missing:
        h.skip("all controllers are there")
    for name in missing:
        c.run(c.bundle(["true"], limited(**tests[name]))).fails(name)


@h.test("update --resources from a file and from stdin", needs=("hugetlb",))
def _(c):
    box = c.up(c.sleeper())
    with open(c.path("r.json"), "w", encoding="ascii") as file:
        json.dump({"unified": {"hugetlb.2MB.max": "2097152"}}, file)
    done = c.rt("update", "--resources", c.path("r.json"), box.id)
    if not h.is_ours() and value(c, box, "hugetlb.2MB.max") != "2097152":
        h.skip("this runtime ignores unified in update")
    done.ok()
    h.eq("2097152", value(c, box, "hugetlb.2MB.max"))
    c.rt("update", "-r", "-", box.id, stdin='{"unified":{"hugetlb.2MB.max":"4194304"}}').ok()
    h.eq("4194304", value(c, box, "hugetlb.2MB.max"))


@h.test("update --pids-limit, --memory", needs=("pids", "memory"))
def _(c):
    box = c.up(c.sleeper())
    c.rt("update", "--pids-limit", "33", "--memory", str(128 << 20), box.id).ok()
    h.eq(("33", str(128 << 20)), (value(c, box, "pids.max"), value(c, box, "memory.max")))


@h.test("update does not touch device rules")
def _(c):
    from bundle import MANY_CAPS, cap_sets
    box = c.up(c.sleeper(capabilities=cap_sets(MANY_CAPS)))
    c.rt("update", "-r", "-", box.id, stdin="{}")
    out = c.exec(box, "sh", "-c", "mknod /dev/k c 240 1; probe open /dev/k r; "
                                  "probe open /dev/zero r").ok().out
    h.eq("EPERM\nok\n", out)


@h.test("update of an unknown container, or with bad values, fails")
def _(c):
    c.rt("update", "--pids-limit", "5", "nobody").fails("does not exist")
    box = c.up(c.sleeper())
    for text in ("", "[]", "{", '{"pids":"x"}', '{"pids":{"limit":"x"}}'):
        c.rt("update", "--resources", "-", box.id, stdin=text).fails()
    if h.is_ours():
        c.rt("update", "--pids-limit", "pink", box.id).fails()
        c.rt("update", box.id, "--resources", c.path("missing")).fails()


@h.test("a writable cgroup mount in a user namespace is delegated to the user")
def _(c):
    h.only_ours("others differ in who owns what")
    from bundle import user_namespace

    def edit(config):
        user_namespace(config)
        for mount in config["mounts"]:
            if mount["type"] == "cgroup":
                mount["options"].remove("ro")
    box = c.bundle(["sh", "-c", "mkdir /sys/fs/cgroup/sub && echo 0 > "
                    "/sys/fs/cgroup/sub/cgroup.procs && cat /proc/self/cgroup"], edit).give(100000)
    h.eq("/sub", h.own_cgroup(c.run(box).ok().out))


@h.test("a read-only cgroup mount cannot be written")
def _(c):
    h.eq("ro\n", c.check_output(["sh", "-c", "mkdir /sys/fs/cgroup/x || echo ro"]))


@h.test("the device program is the only one attached and goes with the container")
def _(c):
    box = c.up(c.sleeper())
    h.true(os.path.isdir(c.cgroup(box)), "no cgroup")
    c.delete(box, "-f").ok()
    h.true(not os.path.exists(c.cgroup(box)), "the cgroup is still there")


@h.test("intelRdt where nothing is mounted for it is refused by name")
def _(c):
    h.only_ours("others differ in words")
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
        if " - resctrl " in file.read():
            h.skip("resctrl is mounted here, and used by others")
    box = c.bundle(["true"], lambda cfg: cfg["linux"].update(intelRdt={"closID": "x"}))
    c.run(box).fails(r"linux\.intelRdt: no resctrl file system is mounted")


if __name__ == "__main__":
    h.main()
