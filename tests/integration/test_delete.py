#!/usr/bin/env python3
"""delete: when it may, what it takes away, and what it must not touch."""
import os
import signal

import harness as h


def tree(folder):
    return sorted(os.path.join(f, n) for f, ds, fs in os.walk(folder) for n in ds + fs)


@h.test("delete of a stopped container removes state and cgroup, not the bundle")
def _(c):
    box = c.bundle(["true"])
    before = tree(box.rootfs)
    c.create(box)
    c.start(box)
    c.wait_stopped(box)
    h.true(os.path.isdir(c.cgroup(box)), "no cgroup to remove")
    c.delete(box).ok()
    h.true(not os.path.exists(c.cgroup(box)), "the cgroup is still there")
    h.eq([], [n for n in os.listdir(c.root) if not n.startswith(".")])
    h.eq(before, [n for n in tree(box.rootfs) if n in before])
    c.rt("state", box.id).fails("does not exist")


@h.test("delete of a running container fails and leaves it running")
def _(c):
    box = c.up(c.sleeper())
    done = c.delete(box).fails()
    if h.is_ours():
        h.has("cannot delete container %s that is not stopped: running" % box.id, done.err)
    h.eq("running", c.status(box))


@h.test("delete of a created container needs --force (runtime-spec)")
def _(c):
    h.only_ours("others delete it")
    box = c.sleeper()
    c.create(box)
    c.delete(box).fails("not stopped: created")
    h.eq("created", c.status(box))
    c.delete(box, "--force").ok()


@h.test("delete --force ends and removes a running container")
def _(c):
    box = c.up(c.sleeper())
    pid = c.state(box)["pid"]
    c.delete(box, "--force").ok()
    h.true(not os.path.exists("/proc/%d/exe" % pid) or not os.path.exists(
        "/proc/%d/root/bin" % pid), "the process is still there")
    h.true(not os.path.exists(c.cgroup(box)), "the cgroup is still there")


@h.test("delete --force ends a program that ignores every signal and its children")
def _(c):
    box = c.up(c.bundle(["sh", "-c", "trap '' TERM INT HUP; (trap '' TERM; sleep 1000) & "
                                     "echo up; while :; do sleep 1; done"]))
    c.delete(box, "-f").ok()


@h.test("delete --force of a paused container works")
def _(c):
    box = c.up(c.sleeper())
    c.rt("pause", box.id).ok()
    c.delete(box, "-f").ok()


@h.test("delete --force of an unknown id succeeds silently, delete of it fails")
def _(c):
    h.eq("", c.rt("delete", "--force", "nobody").ok().out)
    c.rt("delete", "nobody").fails("does not exist")


@h.test("delete removes sub-cgroups that the container made")
def _(c):
    box = c.bundle(["sh", "-c", "mkdir -p /sys/fs/cgroup/a/b/c /sys/fs/cgroup/d; echo up; "
                                "sleep 1000"])
    for mount in box.config["mounts"]:
        if mount["type"] == "cgroup":
            mount["options"].remove("ro")
    box.write()
    c.up(box)
    h.true(os.path.isdir(c.cgroup(box) + "/a/b/c"), "no sub-cgroup was made")
    c.delete(box, "-f").ok()
    h.true(not os.path.exists(c.cgroup(box)), "the cgroup is still there")


@h.test("delete ends execs that still run")
def _(c):
    box = c.up(c.sleeper())
    c.exec(box, "sleep", "1000", options=["-d"]).ok()
    c.delete(box, "-f").ok()


@h.test("delete of a container without own pid namespace ends what is left in its cgroup")
def _(c):
    box = c.bundle(["sh", "-c", "sleep 1000 & echo up; sleep 1000"])
    box.config["linux"]["namespaces"] = [
        n for n in box.config["linux"]["namespaces"] if n["type"] != "pid"]
    box.write()
    c.up(box)
    os.kill(c.state(box)["pid"], signal.SIGKILL)
    c.wait_stopped(box)
    c.delete(box, "-f").ok()
    h.true(not os.path.exists(c.cgroup(box)), "the cgroup is still there")


@h.test("delete works although the bundle is gone")
def _(c):
    box = c.up(c.sleeper())
    os.rename(box.path, box.path + "-elsewhere")
    c.delete(box, "-f").ok()


@h.test("delete takes only the container named")
def _(c):
    one, two = c.up(c.sleeper()), c.up(c.sleeper())
    c.delete(one, "-f").ok()
    h.eq("running", c.status(two))


@h.test("delete --force of an id outside the grammar touches nothing")
def _(c):
    h.only_ours("others take it for an unknown id, or worse")
    keep = c.path("keep")
    os.makedirs(keep)
    os.makedirs(c.root, exist_ok=True)
    for name in ("..", ".", "../keep", "/", "", "a/b", "a b", "a\nb", "x" * 2000):
        c.rt("delete", "--force", name).fails()
        c.rt("delete", "--force", "--", name).fails()
    h.true(os.path.isdir(keep) and os.path.isdir(c.root), "a folder was removed")


@h.test("delete --regex removes those whose id matches, and no other")
def _(c):
    if "runc" in h.runtime()[0]:
        h.skip("runc has no --regex")
    boxes = [c.up(c.sleeper()) for _ in range(2)]
    other = c.up(c.bundle(["sh", "-c", "echo up; sleep 100"], name="other"))
    c.rt("delete", "--force", "--regex", "^(%s|%s)$" % (boxes[0].id, boxes[1].id)).ok()
    h.eq([other.id], c.rt("list", "-q").ok().out.split())
    c.rt("delete", "--regex", "^other$").fails("not stopped: running")
    h.eq("running", c.status(other))


if __name__ == "__main__":
    h.main()
