"""runtime.md: state, create, start, kill, delete. The hooks of the lifecycle are in hooks.py."""
import json
import os
import re

import corner
from bundle import bind, mount
from case import until
from rules import eq, fail, may, must, must_not, true, untestable

SEMVER = r"^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$"


@must("R1", "runtime.md#scope-of-a-container", "whoever creates a container can use every operation on it")
def _(c):
    box = c.up(c.bundle())
    eq(box.id, c.state(box)["id"])
    c.stop(box)
    c.delete(box).ok()
    c.unknown(box)


@must("R2", "runtime.md#state", "the state has ociVersion, id, status and the absolute bundle")
def _(c):
    box = c.bundle()
    c.create(box).ok()
    state = c.state(box)
    true(re.match(SEMVER, state["ociVersion"]), "ociVersion %r" % state["ociVersion"])
    eq((box.id, "created"), (state["id"], state["status"]))
    eq(os.path.realpath(box.path), os.path.realpath(state["bundle"]))
    true(os.path.isabs(state["bundle"]), state["bundle"])


@must("R3", "runtime.md#state", "the bundle is absolute although create got a relative path")
def _(c):
    box = c.bundle().write()
    c.rt("create", "--bundle", os.path.basename(box.path), box.id, cwd=c.scratch).ok()
    eq(os.path.realpath(box.path), c.state(box)["bundle"])


@must("R4", "runtime.md#state", "pid is the container's process when it is created or running")
def _(c):
    box = c.bundle()
    c.create(box).ok()
    created = c.state(box)["pid"]
    eq(box.pid, created)
    c.start(box).ok()
    eq(created, c.state(box)["pid"])
    until(lambda: b"sleep" in open("/proc/%d/cmdline" % created, "rb").read(), "the program")


@must("R5", "runtime.md#state", "the status is created, running, stopped as the lifecycle goes on")
def _(c):
    box = c.bundle()
    c.create(box).ok()
    eq("created", c.status(box))
    c.start(box).ok()
    eq("running", c.status(box))
    c.stop(box)
    eq("stopped", c.status(box))


@must("R6", "runtime.md#state", "the state contains the annotations")
def _(c):
    box = c.bundle()
    box.config["annotations"] = {"org.example.key": "value", "other": ""}
    c.create(box).ok()
    eq(box.config["annotations"], c.state(box)["annotations"])


@must("R7", "runtime.md#state", "the state in JSON has the types of the schema")
def _(c):
    box = c.bundle()
    box.config["annotations"] = {"a": "b"}
    c.create(box).ok()
    types = {"ociVersion": str, "id": str, "status": str, "pid": int, "bundle": str,
             "annotations": dict}
    state = c.state(box)
    eq({}, {k: v for k, v in state.items() if k in types and not isinstance(v, types[k])})
    eq([], [k for k in types if k not in state])
    c.start(box).ok()
    c.stop(box)
    stopped = c.state(box)
    true(isinstance(stopped.get("pid", 0), int), "pid of a stopped container: %r" % stopped)


@must("R8", "runtime.md#lifecycle", "create makes the environment: namespaces, mounts, host name")
def _(c):
    box = c.bundle()
    box.config["hostname"] = "conformance"
    box.config["mounts"].append(mount("/mnt", "tmpfs", "marked"))
    c.create(box).ok()
    for kind in ("pid", "net", "ipc", "uts", "mnt", "cgroup"):
        eq(False, os.readlink("/proc/%d/ns/%s" % (box.pid, kind)) ==
           os.readlink("/proc/self/ns/" + kind), kind)
    with open("/proc/%d/mountinfo" % box.pid, encoding="ascii") as file:
        true(" /mnt " in file.read(), "the mount is missing before start")


@must("R9", "runtime.md#lifecycle", "an environment that cannot be made is an error")
def _(c):
    c.refused(lambda box: box.config["mounts"].append(mount("/mnt", "no-such-fs", "none")))


@must_not("R10", "runtime.md#lifecycle", "the program is not run before start")
def _(c):
    box = c.shell("echo ran > /ran")
    c.create(box).ok()
    import time
    time.sleep(0.1)
    eq(False, os.path.exists(box.file("ran")))
    c.start(box).ok()
    c.wait(box)
    eq(True, os.path.exists(box.file("ran")))


@must_not("R11", "runtime.md#lifecycle", "later changes of config.json have no effect")
def _(c):
    box = c.shell("echo first; hostname")
    box.config["hostname"] = "first"
    c.create(box).ok()
    box.config["process"]["args"] = ["echo", "second"]
    box.config["hostname"] = "second"
    box.write()
    c.start(box).ok()
    c.wait(box)
    eq("first\nfirst\n", box.output())


@must("R12", "runtime.md#lifecycle", "delete undoes what create made")
def _(c):
    groups, mounts = corner.cgroups(), corner.mounts()
    box = c.up(c.bundle())
    true(corner.cgroups() != groups, "no cgroup was made")
    c.stop(box)
    c.delete(box).ok()
    eq(set(), corner.cgroups() - groups, "cgroups left")
    eq({}, {k: v for k, v in corner.mounts().items() if k not in mounts}, "mounts left")
    c.unknown(box)


@must("R13", "runtime.md#errors", "a failed create leaves everything as it was")
def _(c):
    groups, mounts = corner.cgroups(), corner.mounts()
    before = {name: sorted(os.listdir(c.bundle().file(name))) for name in ("dev", "mnt")}
    box = c.refused(lambda b: b.config["mounts"].append(mount("/mnt", "no-such-fs", "none")))
    eq(set(), corner.cgroups() - groups, "cgroups left")
    eq({}, {k: v for k, v in corner.mounts().items() if k not in mounts}, "mounts left")
    eq(before, {name: sorted(os.listdir(box.file(name))) for name in before})
    box.config["mounts"].pop()
    c.create(box).ok()


@must("R14", "runtime.md#warnings", "an operation goes on after a warning")
def _(c):
    box = c.bundle("echo", "alive")
    box.config["process"]["capabilities"]["bounding"].append("CAP_NO_SUCH_THING")
    eq("alive\n", c.result(box))


@must("R15", "runtime.md#query-state", "state without an id is an error")
def _(c):
    c.rt("state").error()


@must("R16", "runtime.md#query-state", "state of a container that does not exist is an error")
def _(c):
    c.rt("state", "no-such-container").error()


@must("R17", "runtime.md#query-state", "state gives the state as JSON")
def _(c):
    box = c.bundle()
    c.create(box).ok()
    true(isinstance(json.loads(c.query(box.id).ok().out), dict), "no JSON object")


@must("R18", "runtime.md#create", "create without an id is an error")
def _(c):
    box = c.bundle().write()
    c.rt("create", "--bundle", box.path).error()


@must("R19", "runtime.md#create", "create without a bundle is an error")
def _(c):
    done = c.rt("create", "conf-without-bundle", cwd=c.scratch)
    c.rt("delete", "--force", "conf-without-bundle")
    done.error()


@must("R20", "runtime.md#create", "create with an id in use is an error and touches nothing")
def _(c):
    box, other = c.up(c.bundle()), c.bundle().write()
    c.rt("create", "--bundle", other.path, box.id).error()
    state = c.state(box)
    eq(("running", box.pid), (state["status"], state["pid"]))
    eq(os.path.realpath(box.path), os.path.realpath(state["bundle"]))


@must("R21", "runtime.md#create", "create with an invalid id is an error and makes nothing")
def _(c):
    box = c.bundle().write()
    groups = corner.cgroups()
    for name in ("", "../evil", "a/b", "..", "."):
        done = c.rt("create", "--bundle", box.path, name)
        if done.status == 0:
            c.rt("delete", "--force", name)
            fail("the id %r was accepted" % name)
        done.error()
    eq(groups, corner.cgroups())


@must("R22", "runtime.md#create", "create makes a new container")
def _(c):
    one, two = c.bundle(), c.bundle()
    c.create(one).ok()
    c.create(two).ok()
    true(one.pid != two.pid, "both have the pid %d" % one.pid)
    eq(["created"] * 2, [c.status(one), c.status(two)])


@must("R23", "runtime.md#create", "everything but process is applied by create")
def _(c):
    box = c.bundle()
    box.config["linux"]["sysctl"] = {"net.ipv4.ip_forward": "1"}
    box.config["linux"]["maskedPaths"] = ["/etc/secret"]
    box.put("etc/secret", "secret\n")
    box.config["root"]["readonly"] = True
    c.create(box).ok()
    with open("/proc/%d/mountinfo" % box.pid, encoding="ascii") as file:
        text = file.read()
    true(" /etc/secret " in text, "not masked before start:\n" + text)
    root = [line for line in text.splitlines() if line.split()[4] == "/"][-1]
    true("ro" in root.split()[5].split(","), "not read-only before start: " + root)
    with open("/proc/%d/net/dev" % box.pid, encoding="ascii") as file:
        true("lo:" in file.read(), "no network namespace")


@must_not("R24", "runtime.md#create", "process.args is not looked at before start takes effect")
def _(c):
    box = c.shell("echo ran >> /ran")
    c.create(box).ok()
    eq("created", c.status(box))
    with open("/proc/%d/cmdline" % box.pid, "rb") as file:
        true(b"echo ran" not in file.read(), "the program is there already")


@must("R25", "runtime.md#create", "a property that cannot be applied is an error, no container")
def _(c):
    c.refused(lambda box: box.set_namespace("network", "/proc/self/ns/no-such"))


@must("R26", "runtime.md#start", "start without an id is an error")
def _(c):
    c.rt("start").error()


@must("R27", "runtime.md#start", "start of a running container is an error without effect")
def _(c):
    box = c.up(c.shell("echo once; exec sleep 1000"))
    until(lambda: box.output(), "the first line")
    c.start(box).error()
    eq(("running", box.pid), (c.status(box), c.state(box)["pid"]))
    eq("once\n", box.output())


@must("R28", "runtime.md#start", "start of a stopped container is an error without effect")
def _(c):
    box = c.shell("echo once")
    c.result(box)
    until(lambda: c.status(box) == "stopped", "the status stopped")
    c.start(box).error()
    eq(("stopped", "once\n"), (c.status(box), box.output()))


@must("R29", "runtime.md#start", "start of a container that does not exist is an error")
def _(c):
    c.rt("start", "no-such-container").error()


@must("R30", "runtime.md#start", "start runs the program that process describes")
def _(c):
    box = c.bundle("sh", "-c", 'echo "$0 $1 $PWD $A"', "zero", "one", cwd="/tmp")
    box.config["process"]["env"].append("A=b")
    eq("zero one /tmp b\n", c.result(box))


@must("R31", "runtime.md#start", "start is an error when process is not set")
def _(c):
    box = c.bundle()
    del box.config["process"]
    c.create(box).ok()
    done = c.start(box)
    # How an error is shown is left open; runtime-tools wants the exit status 0 here.
    true(done.status != 0 or done.err.strip(), "not a word: " + done.words())
    true(c.status(box) != "running", "it runs")


@must("R32", "runtime.md#kill", "kill without an id is an error")
def _(c):
    c.rt("kill").error()


@must("R33", "runtime.md#kill", "kill of a stopped container is an error without effect")
def _(c):
    box = c.bundle("true")
    c.result(box)
    until(lambda: c.status(box) == "stopped", "the status stopped")
    c.kill(box, "TERM").error()
    eq("stopped", c.status(box))


@must("R34", "runtime.md#kill", "kill of a container that does not exist is an error")
def _(c):
    c.rt("kill", "no-such-container", "TERM").error()


@must("R35", "runtime.md#kill", "kill sends this signal to the process of a running container")
def _(c):
    for name in ("USR1", "HUP", "TERM"):
        box = c.up(c.shell("trap 'echo got; exit 3' %s; echo up; while :; do sleep 0.01; done" %
                           name))
        until(lambda b=box: "up" in b.output(), "the first line")
        c.kill(box, name).ok()
        eq((3, "up\ngot\n"), (c.wait(box), box.output()), name)


@must("R36", "runtime.md#kill", "kill sends the signal to a created container too")
def _(c):
    box = c.bundle()
    c.create(box).ok()
    c.kill(box, "KILL").ok()
    eq(-9, c.wait(box))
    until(lambda: c.status(box) == "stopped", "the status stopped")


@must("R37", "runtime.md#delete", "delete without an id is an error")
def _(c):
    c.rt("delete").error()


@must("R38", "runtime.md#delete", "delete of a running container is an error without effect")
def _(c):
    box = c.up(c.bundle())
    c.delete(box).error()
    eq("running", c.status(box))


@must("R39", "runtime.md#delete", "delete of a created container is an error without effect")
def _(c):
    box = c.bundle()
    c.create(box).ok()
    c.delete(box).error()
    eq("created", c.status(box))
    c.start(box).ok()


@must("R40", "runtime.md#delete", "delete of a container that does not exist is an error")
def _(c):
    c.rt("delete", "no-such-container").error()


@must("R41", "runtime.md#delete", "delete removes the resources that create made")
def _(c):
    groups = corner.cgroups()
    box = c.up(c.bundle())
    made = corner.cgroups() - groups
    true(made, "no cgroup was made")
    c.stop(box)
    c.delete(box).ok()
    eq(set(), corner.cgroups() & made)


@must_not("R42", "runtime.md#delete", "delete leaves what the container did not make")
def _(c):
    os.makedirs(c.path("volume"))
    os.makedirs(corner.CGROUP + "/conf-parent/other")
    outer = c.up(c.bundle())
    box = c.shell("echo data > /mnt/file")
    box.config["linux"]["cgroupsPath"] = "/conf-parent/" + box.id
    box.config["mounts"].append(bind(c.path("volume"), "/mnt"))
    box.set_namespace("network", "/proc/%d/ns/net" % outer.pid)
    c.result(box)
    c.delete(box).ok()
    eq("data\n", open(c.path("volume", "file"), encoding="ascii").read())
    true(os.path.isdir(corner.CGROUP + "/conf-parent/other"), "another's cgroup is gone")
    true(os.path.isdir(box.rootfs + "/bin"), "the root file system is gone")
    eq("running", c.status(outer))
    os.rmdir(corner.CGROUP + "/conf-parent/other")


@may("R43", "runtime.md#delete", "the id can be used again after delete")
def _(c):
    box = c.bundle("echo", "again")
    for _ in range(2):
        c.up(box)
        c.wait(box)
        until(lambda: c.status(box) == "stopped", "the status stopped")
        c.delete(box).ok()
    eq("again\nagain\n", box.output())


@must("R44", "runtime.md#state", "ids are unique on the host: one container an id")
def _(c):
    box, other = c.bundle(), c.bundle().write()
    c.create(box).ok()
    c.rt("create", "--bundle", other.path, box.id).error()
    eq(os.path.realpath(box.path), os.path.realpath(c.state(box)["bundle"]))


@must("R45", "runtime.md#operations", "the five operations are supported")
def _(c):
    box = c.bundle()
    c.create(box).ok()
    c.start(box).ok()
    c.query(box.id).ok()
    c.kill(box, "KILL").ok()
    c.wait(box)
    until(lambda: c.status(box) == "stopped", "the status stopped")
    c.delete(box).ok()


# ---- runtime-linux.md --------------------------------------------------------------------------

@must("N1", "runtime-linux.md#file-descriptors", "only stdin, stdout and stderr are open")
def _(c):
    fds = [os.open("/", os.O_PATH) for _ in range(3)]
    box = c.shell("ls /proc/self/fd")
    c.create(box, pass_fds=fds).ok()
    for fd in fds:
        os.close(fd)
    c.start(box).ok()
    c.wait(box)
    # ls has the directory itself open besides.
    eq(["0", "1", "2", "3"], box.output().split())


@must("N2", "runtime-linux.md#dev-symbolic-links", "/dev/fd, stdin, stdout and stderr are links")
def _(c):
    eq("/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\n",
       c.prints("readlink /dev/fd; for i in stdin stdout stderr; do readlink /dev/$i; done"))


untestable("R46", "MUST", "runtime.md#state", "additional status values stand for new states",
           "a rule for runtimes that define some; none of the five operations can provoke one")
