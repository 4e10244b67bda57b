#!/usr/bin/env python3
"""Hooks: order, place, input, failure, time limit."""
import json
import os
import time

import harness as h

KINDS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")


def hook(script, env=None, timeout=None, name="hook"):
    entry = {"path": "/bin/sh", "args": [name, "-c", script]}
    if env is not None:
        entry["env"] = env
    if timeout is not None:
        entry["timeout"] = timeout
    return entry


def logging(path, kinds=KINDS):
    """Each hook appends its name and the state's status to `path`."""
    def edit(config):
        config["hooks"] = {
            kind: [hook("s=$(cat); echo %s $(echo $s | sed 's/.*\"status\": *\"\\([a-z]*\\)\".*/\\1/')"
                        " >> %s" % (kind, path), env=["PATH=/bin:/usr/bin"])]
            for kind in kinds}
    return edit


def read(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="ascii") as file:
        return file.read().splitlines()


@h.test("hooks run at their moment and in order, with the state on stdin")
def _(c):
    log = c.path("log")
    kinds = [k for k in KINDS if k != "startContainer"]
    box = c.bundle(["sh", "-c", "echo up; sleep 1000"], logging(log, kinds))
    c.create(box)
    h.eq(["prestart", "createRuntime", "createContainer"], [l.split()[0] for l in read(log)])
    c.start(box)
    h.eq("poststart", read(log)[3].split()[0])
    h.eq(4, len(read(log)))
    c.delete(box, "-f").ok()
    h.eq("poststop", read(log)[4].split()[0])
    if h.is_ours():
        # Where the spec is silent about prestart, runtime-tools wants "created".
        h.eq(["created", "creating", "creating", "running", "stopped"],
             [l.split()[1] for l in read(log)])


@h.test("the state on stdin is whole: id, pid, bundle, annotations, version")
def _(c):
    def edit(config):
        config["annotations"] = {"a": "b"}
        config["hooks"] = {"createRuntime": [hook("cat > %s" % c.path("state.json"),
                                                  env=["PATH=/bin:/usr/bin"])]}
    box = c.bundle(["true"], edit)
    c.create(box)
    with open(c.path("state.json"), encoding="utf-8") as file:
        state = json.load(file)
    h.eq((box.id, c.state(box)["pid"], {"a": "b"}),
         (state["id"], state["pid"], state["annotations"]))
    h.eq(os.path.realpath(box.path), os.path.realpath(state["bundle"]))
    h.true("ociVersion" in state, "no ociVersion")


@h.test("hooks of one kind run in the order of the list")
def _(c):
    def edit(config):
        config["hooks"] = {"createRuntime": [
            hook("echo %d >> %s" % (i, c.path("log"))) for i in range(5)]}
    c.run(c.bundle(["true"], edit)).ok()
    h.eq(["0", "1", "2", "3", "4"], read(c.path("log")))


@h.test("createContainer runs in the container's mount namespace, before the root is changed")
def _(c):
    def edit(config):
        config["hooks"] = {"createContainer": [hook(
            "readlink /proc/self/ns/mnt /proc/self/ns/uts > %s" % c.path("ns"),
            env=["PATH=/bin:/usr/bin"])]}
    box = c.bundle(["true"], edit)
    c.create(box)
    pid = c.state(box)["pid"]
    h.eq([os.readlink("/proc/%d/ns/%s" % (pid, n)) for n in ("mnt", "uts")], read(c.path("ns")))


@h.test("a mount that createContainer makes below the rootfs is in the container")
def _(c):
    def edit(config):
        config["hooks"] = {"createContainer": [hook(
            "mount -t tmpfs x %s/mnt && echo made > %s/mnt/file" % ("$ROOT", "$ROOT"),
            env=["PATH=/bin:/usr/bin:/sbin:/usr/sbin"])]}
    box = c.bundle(["cat", "/mnt/file"], edit)
    entry = box.config["hooks"]["createContainer"][0]
    entry["env"].append("ROOT=" + box.rootfs)
    box.write()
    h.eq("made\n", c.run(box).ok().out)
    h.eq([], os.listdir(box.file("mnt")))


@h.test("startContainer runs inside the container, before the program")
def _(c):
    def edit(config):
        config["hooks"] = {"startContainer": [{
            "path": "/bin/sh", "args": ["sh", "-c", "echo hook $(hostname) > /order"],
            "env": ["PATH=/bin"]}]}
    box = c.bundle(["sh", "-c", "echo program >> /order; cat /order"], edit)
    h.eq("hook coracle\nprogram\n", c.run(box).ok().out)


@h.test("a hook without env has that of the runtime, whatever its kind")
def _(c):
    def edit(config):
        config["hooks"] = {
            "createRuntime": [{"path": "/bin/sh",
                               "args": ["sh", "-c", "echo $SECRET > " + c.path("runtime")]}],
            "startContainer": [{"path": "/bin/sh", "args": ["sh", "-c", "echo $SECRET > /seen"]}]}
    box = c.bundle(["cat", "/seen"], edit, env=["PATH=/bin", "SECRET=two"],
                   user={"uid": 0, "gid": 0})
    h.eq("one\n", c.run(box, env=dict(os.environ, SECRET="one")).ok().out)
    with open(c.path("runtime"), encoding="ascii") as file:
        h.eq("one\n", file.read())


@h.test("createContainer finds the container's root as its working directory")
def _(c):
    def edit(config):
        config["hooks"] = {"createContainer": [hook(
            "mount -t tmpfs x ./mnt && echo made > ./mnt/file",
            env=["PATH=/bin:/usr/bin:/sbin:/usr/sbin"])]}
    box = c.bundle(["cat", "/mnt/file"], edit)
    h.eq("made\n", c.run(box).ok().out)
    h.eq([], os.listdir(box.file("mnt")))


@h.test("args[0] and env are the hook's own")
def _(c):
    def edit(config):
        config["hooks"] = {"createRuntime": [
            hook("echo $0 $X > %s; /usr/bin/env >> %s" % (c.path("o"), c.path("o")),
                 env=["X=given"], name="named")]}
    c.run(c.bundle(["true"], edit), env=dict(os.environ, SECRET="1")).ok()
    lines = read(c.path("o"))
    h.true("X=given" in lines and not any("SECRET" in l for l in lines), str(lines))


@h.test("a failing hook before start fails create, undoes it and runs poststop")
def _(c):
    for kind in ("prestart", "createRuntime", "createContainer"):
        def edit(config, kind=kind):
            config["hooks"] = {kind: [hook("echo broken pipe dream >&2; exit 7")],
                               "poststop": [hook("echo stopped >> " + c.path(kind))]}
        box = c.bundle(["true"], edit)
        done = c.try_create(box).fails()
        if h.is_ours():
            h.has("error running %s hook #0: /bin/sh: exit status 7" % kind, done.err)
            h.has("broken pipe dream", done.err)
            h.eq(["stopped"], read(c.path(kind)), "poststop after " + kind)
        c.rt("state", box.id).fails("does not exist")


@h.test("a failing startContainer hook fails start; the program does not run")
def _(c):
    def edit(config):
        config["hooks"] = {"startContainer": [{"path": "/bin/sh", "args": ["sh", "-c", "exit 3"]}]}
    box = c.bundle(["sh", "-c", "echo ran > /ran"], edit)
    c.create(box)
    done = c.rt("start", box.id)
    h.until(lambda: c.rt("state", box.id).status != 0 or c.status(box) == "stopped", "an end")
    h.true(not os.path.exists(box.file("ran")), "the program ran")
    if h.is_ours():
        done.fails("startContainer")


@h.test("a failing poststart hook fails start and stops the container (runtime-spec)")
def _(c):
    h.only_ours("older ones warn")

    def edit(config):
        config["hooks"] = {"poststart": [hook("exit 3")]}
    box = c.bundle(["sh", "-c", "echo up; sleep 1000"], edit)
    c.create(box)
    c.rt("start", box.id).fails("poststart")
    h.until(lambda: c.rt("state", box.id).status != 0 or c.status(box) == "stopped", "an end")


@h.test("a failing poststop hook is a warning and the next one runs")
def _(c):
    def edit(config):
        config["hooks"] = {"poststop": [hook("exit 3"), hook("echo second > " + c.path("o"))]}
    box = c.bundle(["true"], edit)
    c.create(box)
    c.start(box)
    c.wait_stopped(box)
    done = c.delete(box)
    if h.is_ours():
        done.ok()
        h.eq(["second"], read(c.path("o")))
    c.rt("state", box.id).fails("does not exist")


@h.test("a hook over its time limit is killed and fails")
def _(c):
    def edit(config):
        config["hooks"] = {"createRuntime": [hook("exec /bin/sleep 100", timeout=1)]}
    box = c.bundle(["true"], edit)
    start = time.monotonic()
    c.try_create(box).fails()
    h.true(0.9 < time.monotonic() - start < 5, "took %g s" % (time.monotonic() - start))


@h.test("hook paths that are relative or missing, and timeouts of 0, are refused")
def _(c):
    for entry in ({"path": "bin/sh"}, {"path": ""}, {"path": "/no/such/hook"},
                  {"path": "/bin/sh", "timeout": 0}, {"path": "/bin/sh", "timeout": -1}):
        if "timeout" in entry and not h.is_ours():
            continue
        c.try_create(c.bundle(["true"], lambda cfg, e=entry: cfg.update(
            hooks={"createRuntime": [e]}))).fails()


@h.test("a hook that does not read its stdin is no failure")
def _(c):
    def edit(config):
        config["annotations"] = {"k%d" % i: "v" * 1000 for i in range(200)}
        config["hooks"] = {"createRuntime": [hook("exit 0"), hook("exec 0<&-; exit 0")]}
    c.run(c.bundle(["true"], edit)).ok()


@h.test("a hook gets no descriptor of the runtime")
def _(c):
    def edit(config):
        config["hooks"] = {kind: [hook("echo /proc/self/fd/* > %s" % c.path(kind))]
                           for kind in ("prestart", "createContainer", "poststart", "poststop")}
    box = c.bundle(["true"], edit)
    c.create(box)
    c.start(box)
    c.wait_stopped(box)
    c.delete(box).ok()
    for kind in ("prestart", "createContainer", "poststart", "poststop"):
        found = [os.path.basename(p) for p in read(c.path(kind))[0].split()]
        if h.is_ours():
            h.eq(["0", "1", "2", "3"], found, kind)  # 3 is the shell's own, on the folder


@h.test("a killed create kills its hook or lets it end; nothing is left")
def _(c):
    def edit(config):
        config["hooks"] = {"createRuntime": [hook("echo $$ > %s; exec /bin/sleep 3" %
                                                  c.path("pid"))]}
    box = c.bundle(["true"], edit)
    child = c.background("create", "-b", box.path, box.id)
    h.until(lambda: read(c.path("pid")), "the hook to run")
    child.kill()
    child.wait()
    c.delete(box, "-f").ok()
    pid = int(read(c.path("pid"))[0])
    h.until(lambda: not os.path.exists("/proc/%d/exe" % pid), "the hook to end")


if __name__ == "__main__":
    h.main()
