#!/usr/bin/env python3
"""run: in the foreground it is the program, detached it is create and start in one."""
import os
import signal
import time

import harness as h


@h.test("run passes stdin, stdout and stderr through")
def _(c):
    box = c.bundle(["sh", "-c", "cat; echo err >&2"])
    done = c.run(box, stdin="to and fro\n").ok()
    h.eq("to and fro\n", done.out)
    h.eq("err\n", done.err)


@h.test("run returns the program's exit status")
def _(c):
    for status in (0, 1, 7, 126, 255):
        h.eq(status, c.run(c.bundle(["sh", "-c", "exit %d" % status])).status)


@h.test("run returns 128 + signal of a program that a signal ended")
def _(c):
    # The first process of a pid namespace does not die of a signal that it sends itself.
    box = c.sleeper()
    child = c.background("run", "-b", box.path, box.id)
    h.until(lambda: c.rt("state", box.id).status == 0 and c.status(box) == "running", "running")
    c.kill(box, "KILL")
    h.eq(137, child.wait(5))


@h.test("run leaves nothing behind")
def _(c):
    box = c.bundle(["true"])
    c.run(box).ok()
    c.rt("state", box.id).fails("does not exist")


@h.test("run --keep leaves the stopped container for delete")
def _(c):
    h.only_ours("--keep came later")
    box = c.bundle(["true"])
    c.run(box, "--keep").ok()
    h.eq("stopped", c.status(box))
    c.delete(box).ok()


@h.test("run --detach returns while the program runs")
def _(c):
    box = c.sleeper()
    c.run(box, "--detach", "--pid-file", c.path("pid")).ok()
    h.eq("running", c.status(box))
    h.eq(str(c.state(box)["pid"]), open(c.path("pid"), encoding="ascii").read())


@h.test("a detached container that ends stays as stopped until delete")
def _(c):
    box = c.bundle(["true"])
    c.run(box, "--detach").ok()
    c.wait_stopped(box)
    c.delete(box).ok()


@h.test("run with a missing executable exits with 1 and the words engines look for")
def _(c):
    c.run(c.bundle(["no-such-program"])).fails("executable file not found in", status=1)
    c.run(c.bundle(["/no/such/program"])).fails("no such file or directory", status=1)


@h.test("run forwards signals to the program")
def _(c):
    box = c.bundle(["sh", "-c",
                    "trap 'echo got; exit 9' USR1; echo up; while :; do sleep 0.05; done"])
    out = c.path("out")
    with open(out, "wb") as file:
        child = c.background("run", "-b", box.path, box.id, stdout=file)
    h.until(lambda: "up" in open(out, encoding="ascii").read(), "up")
    child.send_signal(signal.SIGUSR1)
    h.eq(9, child.wait(5))
    h.has("got", open(out, encoding="ascii").read())


@h.test("run ends when the program ends although a grandchild held its output")
def _(c):
    box = c.bundle(["sh", "-c", "sleep 1000 & echo done"])
    start = time.monotonic()
    done = c.run(box).ok()
    h.has("done", done.out)
    h.true(time.monotonic() - start < 5, "run waited for the grandchild")


@h.test("run reaps processes that are left to it in the host's pid namespace")
def _(c):
    box = c.bundle(["sh", "-c", "(sleep 0.1 &); exit 3"])
    box.config["linux"]["namespaces"] = [
        n for n in box.config["linux"]["namespaces"] if n["type"] != "pid"]
    box.write()
    h.eq(3, c.run(box).status)


@h.test("the program is pid 1 of a new pid namespace")
def _(c):
    h.eq("1\n", c.check_output(["sh", "-c", "echo $$"]))


@h.test("run can take a container's id with every allowed character")
def _(c):
    box = c.bundle(["echo", "x"], name="A-z_0.9+x")
    h.eq("x\n", c.run(box).ok().out)


@h.test("a big output arrives whole")
def _(c):
    done = c.run(c.bundle(["sh", "-c", "yes 0123456789 | head -n 300000"])).ok()
    h.eq(3300000, len(done.out))


@h.test("the caller's directory and environment are not the container's")
def _(c):
    box = c.bundle(["sh", "-c", "pwd; env | sort"])
    env = dict(os.environ, SECRET="of the host")
    done = c.run(box, env=env).ok()
    h.eq("/", done.out.split("\n")[0])
    h.lacks("SECRET", done.out)


@h.test("ten containers one after the other, then ten at a time")
def _(c):
    for _ in range(10):
        h.eq("x\n", c.check_output(["echo", "x"]))
    boxes = [c.sleeper() for _ in range(10)]
    for box in boxes:
        c.run(box, "-d").ok()
    h.eq(["running"] * 10, [c.status(box) for box in boxes])


if __name__ == "__main__":
    h.main()
