#!/usr/bin/env python3
"""create and start: what each does, in which order, and what it refuses."""
import os

import harness as h


@h.test("create runs nothing of the user's, start does")
def _(c):
    box = c.bundle(["sh", "-c", "echo ran > /mark; echo hello"])
    c.create(box)
    h.eq("created", c.status(box))
    h.true(not os.path.exists(box.file("mark")), "the program ran before start")
    c.start(box)
    c.wait_stopped(box)
    h.eq("hello\n", c.output(box))
    h.true(os.path.exists(box.file("mark")), "the program did not run")


@h.test("create without --bundle uses the current directory")
def _(c):
    box = c.bundle(["true"])
    c.rt("create", box.id, cwd=box.path).ok()
    h.eq(os.path.realpath(box.path), os.path.realpath(c.state(box)["bundle"]))


@h.test("create with a relative --bundle records an absolute one")
def _(c):
    box = c.bundle(["true"])
    c.rt("create", "-b", os.path.basename(box.path), box.id, cwd=c.scratch).ok()
    h.eq(os.path.realpath(box.path), os.path.realpath(c.state(box)["bundle"]))


@h.test("--option=value is understood as well as --option value")
def _(c):
    box = c.bundle(["true"])
    c.rt("create", "--bundle=" + box.path, "--pid-file=" + c.path("pid"), box.id).ok()
    h.true(os.path.exists(c.path("pid")), "no pid file")


@h.test("--pid-file holds the pid without a newline")
def _(c):
    box = c.bundle(["true"])
    c.create(box, "--pid-file", c.path("pid"))
    with open(c.path("pid"), encoding="ascii") as file:
        h.eq(str(c.state(box)["pid"]), file.read())


@h.test("a relative --pid-file is relative to the caller, not to the bundle")
def _(c):
    box = c.bundle(["true"])
    c.create(box, "--pid-file", "pid")
    h.true(os.path.exists(c.path("pid")), "no pid file in the caller's directory")
    h.true(not os.path.exists(os.path.join(box.path, "pid")), "pid file in the bundle")


@h.test("create refuses an id that is taken and leaves the container alone")
def _(c):
    box = c.sleeper()
    c.up(box)
    pid = c.state(box)["pid"]
    c.try_create(box).fails("already exists|in use")
    h.eq("running", c.status(box))
    h.eq(pid, c.state(box)["pid"])


@h.test("an id can be used again after delete")
def _(c):
    box = c.bundle(["echo", "again"])
    for _ in range(3):
        c.create(box)
        c.start(box)
        c.wait_stopped(box)
        c.delete(box).ok()
    h.eq("again\n" * 3, c.output(box))


@h.test("start of an unknown container fails")
def _(c):
    c.rt("start", "nobody").fails("does not exist")


@h.test("start of a running container fails and leaves it running")
def _(c):
    box = c.sleeper()
    c.up(box)
    done = c.rt("start", box.id).fails()
    if h.is_ours():
        h.has("cannot start an already running container", done.err)
    h.eq("running", c.status(box))


@h.test("start of a stopped container fails")
def _(c):
    box = c.bundle(["true"])
    c.create(box)
    c.start(box)
    c.wait_stopped(box)
    done = c.rt("start", box.id).fails()
    if h.is_ours():
        h.has("cannot start a container that has stopped", done.err)


@h.test("a missing executable fails create and leaves nothing")
def _(c):
    box = c.bundle(["/no/such/program"])
    c.try_create(box).fails("no such file or directory")
    c.rt("state", box.id).fails("does not exist")
    box.config["process"]["args"] = ["no-such-program"]
    box.write()
    c.try_create(box).fails("executable file not found in")


@h.test("an executable without permission fails create")
def _(c):
    box = c.bundle(["/bin/data"])
    box.put("bin/data", "#!/bin/sh\necho no\n", 0o644)
    c.try_create(box).fails("permission denied")


@h.test("a script without interpreter says so in words")
def _(c):
    box = c.bundle(["/bin/script"])
    box.put("bin/script", "#!/no/interpreter\n", 0o755)
    h.only_ours("start knows whether execve worked")
    created = c.try_create(box)
    done = created if created.status else c.rt("start", box.id)
    done.fails("no such file or directory")


@h.test("later edits of config.json have no effect")
def _(c):
    box = c.bundle(["echo", "first"])
    c.create(box)
    box.config["process"]["args"] = ["echo", "second"]
    box.write()
    c.start(box)
    c.wait_stopped(box)
    h.eq("first\n", c.output(box))


@h.test("create without process works, start says what is missing and stops it")
def _(c):
    h.only_ours("create without process")
    box = c.bundle(["true"])
    del box.config["process"]
    box.write()
    c.create(box)
    h.eq("created", c.status(box))
    h.has("process: not set", c.rt("start", box.id).ok().err)
    h.eq("stopped", c.status(box))


@h.test("the bundle may go away after create")
def _(c):
    box = c.bundle(["echo", "still here"])
    c.create(box)
    os.rename(os.path.join(box.path, "config.json"), c.path("elsewhere"))
    c.start(box)
    c.wait_stopped(box)
    h.eq("still here\n", c.output(box))


@h.test("relative root.path is relative to the bundle, absolute is taken as it is")
def _(c):
    box = c.bundle(["echo", "x"], edit=lambda cfg: cfg["root"].update(path="rootfs"))
    h.eq("x\n", c.run(box).ok().out)
    other = c.bundle(["echo", "y"])
    other.config["root"]["path"] = other.rootfs
    other.write()
    h.eq("y\n", c.run(other).ok().out)


@h.test("create keeps the caller's standard streams for the container")
def _(c):
    box = c.bundle(["sh", "-c", "cat; echo out; echo err >&2"])
    with open(c.path("in"), "w+", encoding="ascii") as file:
        file.write("given\n")
        file.seek(0)
        c.create(box, stdin=file)
    c.start(box)
    c.wait_stopped(box)
    h.has("given\nout\n", c.output(box))


@h.test("a container killed before start is stopped and can be deleted")
def _(c):
    box = c.sleeper()
    c.create(box)
    c.kill(box, "KILL")
    c.wait_stopped(box)
    c.rt("start", box.id).fails()
    c.delete(box).ok()


@h.test("two containers at a time do not know each other")
def _(c):
    one, two = c.sleeper(), c.sleeper()
    c.up(one)
    c.up(two)
    h.eq("1\n", c.exec(one, "sh", "-c", "pidof sleep | wc -w").ok().out)
    c.delete(one, "-f").ok()
    h.eq("running", c.status(two))


if __name__ == "__main__":
    h.main()
