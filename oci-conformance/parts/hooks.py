"""config.md and runtime.md: hooks. Runtime hooks are shell scripts of the host's (busybox of the
bundle, found by its path on the host); container hooks use the busybox in the container."""
import json
import os
import time

import corner
from bundle import bind
from case import until
from rules import eq, must, must_not, true

KINDS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
IN_RUNTIME = ("prestart", "createRuntime", "createContainer", "poststart", "poststop")


def tool(box, kind):
    """busybox as a hook of this kind finds it: createContainer's path is the runtime's as well."""
    return "/bin/busybox" if kind == "startContainer" else box.file("bin/busybox")


def hook(box, kind, script, *, reads=False, **more):
    """A hook of that kind that runs a shell script; it takes the state from stdin first unless the
    script reads that itself, since a runtime may be unable to bear a hook that does not."""
    if not reads:
        script = "while read -r line; do :; done; " + script
    entry = {"path": tool(box, kind), "args": ["sh", "-c", script]}
    entry.update(more)
    box.config.setdefault("hooks", {}).setdefault(kind, []).append(entry)
    return entry


def logs(c, box):
    """A folder that hooks write to: under the same path in the host and in the container."""
    folder = c.path("hooklog")
    os.makedirs(folder, exist_ok=True)
    box.config["mounts"].append(bind(folder, folder))
    return folder


def read(*path):
    try:
        with open(os.path.join(*path), encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return None


def lifecycle(c, box):
    """The whole life of the container."""
    c.up(box)
    c.stop(box)
    c.delete(box).ok()


def outcome_of_failure(c, kind, during_start):
    """A hook that fails: an error, the container is stopped, the rest of its end follows."""
    box = c.shell("echo ran > /ran; exec sleep 1000")
    folder = logs(c, box)
    hook(box, kind, "exit 7")
    hook(box, "poststop", "echo stopped > %s/poststop" % folder)
    done = c.create(box)
    if during_start:
        done.ok()
        c.start(box).error()
    else:
        done.error()
    if box.pid:
        c.wait(box)
    c.delete(box, "--force")
    c.unknown(box)
    eq(True, kind in ("poststart",) or not os.path.exists(box.file("ran")), "the program ran")
    return folder


for _place, (_number, _kind) in enumerate(
        zip(("C60", "C61", "C62", "C63", "C64", "C65"), KINDS)):
    @must(_number, "config.md#posix-platform-hooks", _kind + " hooks are called in the listed order")
    def _(c, kind=_kind):
        box = c.bundle()
        folder = logs(c, box)
        for number in range(3):
            hook(box, kind, "echo %d >> %s/order" % (number, folder))
        lifecycle(c, box)
        eq("0\n1\n2\n", read(folder, "order"))

for _number, _kind, _status in (("C66", "prestart", ("creating", "created")),
                                ("C67", "createRuntime", ("creating", "created")),
                                ("C68", "createContainer", ("creating", "created")),
                                ("C69", "startContainer", ("created",)),
                                ("C70", "poststart", ("running",)),
                                ("C71", "poststop", ("stopped",))):
    @must(_number, "config.md#posix-platform-hooks",
          _kind + " hooks get the state on stdin, the status is " + " or ".join(_status))
    def _(c, kind=_kind, wanted=_status):
        box = c.bundle()
        box.config["annotations"] = {"a": "b"}
        folder = logs(c, box)
        hook(box, kind, "cat > %s/state" % folder, reads=True)
        lifecycle(c, box)
        state = json.loads(read(folder, "state"))
        eq((box.id, os.path.realpath(box.path)), (state["id"], os.path.realpath(state["bundle"])))
        true(state["status"] in wanted, "status %r, wanted %s" % (state["status"], wanted))
        true("ociVersion" in state, state)
        eq({"a": "b"}, state.get("annotations"))

for _number, _kind in zip(("C72", "C73", "C74", "C75", "C76", "C77"), KINDS):
    _where = "runtime" if _kind in ("prestart", "createRuntime", "poststart", "poststop") else \
        "container"

    @must(_number, "config.md#posix-platform-hooks", "%s hooks run in the %s namespace" % (_kind,
                                                                                        _where))
    def _(c, kind=_kind, where=_where):
        box = c.bundle()
        box.config["hostname"] = "inner"
        folder = logs(c, box)
        hook(box, kind, "readlink /proc/self/ns/net > %s/net; cat /proc/sys/kernel/hostname > "
             "%s/name; readlink /proc/self/ns/mnt > %s/mnt" % ((folder,) * 3))
        c.create(box).ok()
        spaces = [os.readlink("/proc/%d/ns/%s" % (box.pid, n)) + "\n" for n in ("net", "mnt")]
        c.start(box).ok()
        c.stop(box)
        c.delete(box).ok()
        own = [os.readlink("/proc/self/ns/" + n) + "\n" for n in ("net", "mnt")]
        eq(own if where == "runtime" else spaces, [read(folder, "net"), read(folder, "mnt")])
        if kind != "createContainer":  # may come before the name is set
            eq(where == "container", read(folder, "name") == "inner\n")

for _number, _kind in zip(("C78", "C79", "C80", "C81", "C82", "C83"), KINDS):
    _where = "container" if _kind == "startContainer" else "runtime"

    @must(_number, "config.md#posix-platform-hooks", "%s hooks' path resolves in the %s namespace"
          % (_kind, _where))
    def _(c, kind=_kind, where=_where):
        box = c.bundle()
        folder = logs(c, box)
        # The same path leads to another script on the host and in the image.
        outside = c.write("there/hook", "#!%s sh\necho runtime > %s/which\n" % (
            box.file("bin/busybox"), folder), 0o755)
        box.put(outside[1:], "#!/bin/sh\necho container > %s/which\n" % folder, 0o755)
        if kind == "createContainer":  # its interpreter must be there in both
            box.config["mounts"].append(bind(box.file("bin"), box.file("bin")))
        box.config["hooks"] = {kind: [{"path": outside}]}
        lifecycle(c, box)
        eq(where + "\n", read(folder, "which"))

for _number, _kind in zip(("C84", "C85", "C86", "C87", "C88", "C89"), KINDS):
    @must(_number, "config.md#posix-platform-hooks", _kind + " hooks' path is absolute")
    def _(c, kind=_kind):
        box = c.bundle()
        box.config["hooks"] = {kind: [{"path": "bin/busybox", "args": ["true"]}]}
        done = c.create(box, cwd=box.rootfs)
        if done.status == 0:
            c.start(box).error()


@must("C110", "config.md#posix-platform-hooks", "a hook gets the args configured")
def _(c):
    box = c.bundle()
    folder = logs(c, box)
    hook(box, "createRuntime", 'echo "$0 $1 $#" > %s/args' % folder)["args"] += [
        "zero", "one two"]
    lifecycle(c, box)
    eq("zero one two 1\n", read(folder, "args"))


@must("C111", "config.md#posix-platform-hooks", "a hook gets the env configured, nothing else")
def _(c):
    box = c.bundle()
    folder = logs(c, box)
    hook(box, "createRuntime", ": ; %s cat /proc/$$/environ > %s/env; :" % (
        tool(box, "createRuntime"), folder), env=["A=b", "C=d e"])
    lifecycle(c, box)
    eq({"A=b", "C=d e"}, set(read(folder, "env").strip("\0").split("\0")))


@must("C122", "config.md#posix-platform-hooks", "a hook need not read the state")
def _(c):
    box = c.bundle()
    folder = logs(c, box)
    for kind in KINDS:
        hook(box, kind, "exec < /dev/null; echo %s >> %s/order" % (kind, folder), reads=True)
    lifecycle(c, box)
    eq(sorted(KINDS), sorted((read(folder, "order") or "").split()))


@must("C112", "config.md#posix-platform-hooks", "a hook's timeout is greater than zero")
def _(c):
    for value in (0, -1):
        c.refused(lambda box, v=value: hook(box, "createRuntime", "true", timeout=v))


@must("C113", "config.md#posix-platform-hooks", "a hook is ended after its timeout")
def _(c):
    box = c.bundle()
    hook(box, "createRuntime", "sleep 20", timeout=1)
    begin = time.monotonic()
    c.create(box).error()
    true(time.monotonic() - begin < 8, "it took %.1f s" % (time.monotonic() - begin))


# ---- when --------------------------------------------------------------------------------------

@must("C114", "config.md#prestart", "prestart hooks: in create, environment made, before the pivot")
def _(c):
    box = c.bundle()
    folder = logs(c, box)
    busybox = tool(box, "prestart")
    hook(box, "prestart", 'p=$(%s sed -n "s/.*\\"pid\\": *\\([0-9]*\\).*/\\1/p"); '
         "%s readlink /proc/$p/ns/net > %s/net; %s readlink /proc/$p/root > %s/root" % (
             busybox, busybox, folder, busybox, folder), reads=True)
    c.create(box).ok()
    true(read(folder, "net"), "not called by create, or the state has no pid")
    true(read(folder, "net") != os.readlink("/proc/self/ns/net") + "\n", "no network namespace yet")


@must("C115", "config.md#prestart", "prestart hooks are called before createRuntime hooks")
def _(c):
    box = c.bundle()
    folder = logs(c, box)
    for kind in ("createRuntime", "prestart"):
        hook(box, kind, "echo %s >> %s/order" % (kind, folder))
    c.create(box).ok()
    eq("prestart\ncreateRuntime\n", read(folder, "order"))


@must("C116", "config.md#createruntime-hooks", "createRuntime hooks: in create, not in start")
def _(c):
    box = c.bundle()
    folder = logs(c, box)
    hook(box, "createRuntime", "echo called >> %s/log" % folder)
    c.create(box).ok()
    eq("called\n", read(folder, "log"))
    c.start(box).ok()
    eq("called\n", read(folder, "log"))


@must("C117", "config.md#createcontainer-hooks", "createContainer hooks: in create, mounts made, "
      "before the pivot")
def _(c):
    box = c.bundle()
    folder = logs(c, box)
    hook(box, "createContainer", "%s cat /proc/self/mountinfo > %s/mounts" % (
        tool(box, "createContainer"), folder))
    c.create(box).ok()
    true(read(folder, "mounts"), "not called by create")
    # Not in the new root yet: the mounts lie below the bundle's root.
    true(box.rootfs + "/proc " in read(folder, "mounts"), read(folder, "mounts"))


@must("C118", "config.md#createcontainer-hooks", "createContainer hooks are called after "
      "createRuntime hooks")
def _(c):
    box = c.bundle()
    folder = logs(c, box)
    for kind in ("createContainer", "createRuntime"):
        hook(box, kind, "echo %s >> %s/order" % (kind, folder))
    c.create(box).ok()
    eq("createRuntime\ncreateContainer\n", read(folder, "order"))


@must("C119", "config.md#startcontainer-hooks", "startContainer hooks: in start, before the program")
def _(c):
    box = c.bundle()
    folder = logs(c, box)
    box.config["process"]["args"] = ["sh", "-c", "echo program >> %s/order; exec sleep 1000" %
                                     folder]
    hook(box, "startContainer", "echo hook >> %s/order" % folder)
    c.create(box).ok()
    eq(None, read(folder, "order"))
    c.start(box).ok()
    until(lambda: "program" in (read(folder, "order") or ""), "the program")
    eq("hook\nprogram\n", read(folder, "order"))


@must("C120", "config.md#poststart", "poststart hooks: after the program runs, before start returns")
def _(c):
    box = c.bundle()
    folder = logs(c, box)
    hook(box, "poststart", 'p=$(%s sed -n "s/.*\\"pid\\": *\\([0-9]*\\).*/\\1/p"); '
         "%s sleep 0.2; %s cat /proc/$p/cmdline > %s/program" % ((tool(box, "poststart"),) * 3 +
                                                                (folder,)), reads=True)
    c.create(box).ok()
    eq(None, read(folder, "program"))
    c.start(box).ok()
    true((read(folder, "program") or "").startswith("sleep\0"), read(folder, "program"))


@must("C121", "config.md#poststop", "poststop hooks: after the deletion, before delete returns")
def _(c):
    box = c.up(poststop_box(c))
    folder = c.path("hooklog")
    c.stop(box)
    eq(None, read(folder, "groups"))
    c.delete(box).ok()
    true(read(folder, "groups") is not None, "not called")
    eq("", read(folder, "groups"), "the container's cgroup is still there")


def poststop_box(c):
    box = c.bundle()
    folder = logs(c, box)
    hook(box, "poststop", "%s find %s -name %s > %s/groups" % (tool(box, "poststop"),
                                                              corner.CGROUP, box.id, folder))
    return box


# ---- the lifecycle's sentences (runtime.md) -----------------------------------------------------

for _number, _kind in zip(("R50", "R51", "R52", "R53", "R54", "R55"), KINDS):
    @must(_number, "runtime.md#lifecycle", _kind + " hooks are invoked once")
    def _(c, kind=_kind):
        box = c.bundle()
        folder = logs(c, box)
        hook(box, kind, "echo called >> %s/log" % folder)
        lifecycle(c, box)
        eq("called\n", read(folder, "log"))

for _number, _kind in zip(("R56", "R57", "R58", "R59", "R60"), KINDS):
    @must(_number, "runtime.md#lifecycle", "a failing %s hook is an error, the container is stopped"
          % _kind)
    def _(c, kind=_kind):
        outcome_of_failure(c, kind, kind in ("startContainer", "poststart"))

for _number, _kind in zip(("R61", "R62", "R63", "R64", "R65"), KINDS):
    @must(_number, "runtime.md#lifecycle", "after a failing %s hook the poststop hooks are invoked"
          % _kind)
    def _(c, kind=_kind):
        folder = outcome_of_failure(c, kind, kind in ("startContainer", "poststart"))
        eq("stopped\n", read(folder, "poststop"))


@must("R66", "runtime.md#lifecycle", "a failing poststop hook is a warning; the others follow")
def _(c):
    box = c.bundle()
    folder = logs(c, box)
    hook(box, "poststop", "exit 7")
    hook(box, "poststop", "echo called > %s/log" % folder)
    c.up(box)
    c.stop(box)
    c.delete(box).ok()
    c.unknown(box)
    eq("called\n", read(folder, "log"))


@must_not("R67", "runtime.md#lifecycle", "after a failing createRuntime hook the program never runs")
def _(c):
    box = c.shell("echo ran > /ran")
    hook(box, "createRuntime", "exit 1")
    c.create(box).error()
    c.unknown(box)
    eq(False, os.path.exists(box.file("ran")))
