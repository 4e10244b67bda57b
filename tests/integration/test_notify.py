#!/usr/bin/env python3
"""NOTIFY_SOCKET: READY=1 of the container reaches whoever started the runtime (sd_notify(3))."""
import os
import socket
import time

import harness as h
from bundle import bind, user_namespace
from manager import Manager

SAY = "probe notify"


def service(c, before="", after="sleep 1000 & wait", edit=None):
    """Says `before` lines, and READY=1 once /go is there."""
    script = "trap 'exit 0' TERM; %s while ! [ -e /go ]; do sleep 0.02; done; %s 'READY=1'; %s" % (
        before, SAY, after)
    return c.bundle(["sh", "-c", script], edit)


def ready(box):
    box.put("go", "")


@h.test("start returns once the program has said READY=1, and tells the caller its pid")
def _(c):
    manager, box = Manager(c), service(c, SAY + " STATUS=waiting;")
    c.create(box, env=manager.env())
    pid = c.state(box)["pid"]
    start = c.background("start", box.id, env=manager.env())
    c.wait_status(box, "running")
    time.sleep(0.3)
    h.eq(None, start.poll(), "start waits")
    manager.heard_nothing()  # STATUS= is not passed on
    ready(box)
    manager.hears_ready(pid)
    h.eq(0, start.wait(10))
    h.eq("running", c.status(box))


@h.test("the container's socket: where runc puts it, writable for every user, its folder not")
def _(c):
    h.only_ours("crun has it at the path of the caller's")
    manager = Manager(c)
    box = c.bundle(["sh", "-c", "echo $NOTIFY_SOCKET; stat -c %a $NOTIFY_SOCKET; "
                    "touch /run/notify/x 2>&1; probe notify READY=1"],
                   user={"uid": 1234, "gid": 1234})
    c.create(box, env=manager.env())
    pid = c.state(box)["pid"]
    start = c.background("start", box.id, env=manager.env())
    manager.hears_ready(pid)
    h.eq(0, start.wait(10))
    c.wait_stopped(box)
    h.match(r"^/run/notify/notify.sock\n777\ntouch: .*(Read-only|denied)", c.output(box))


@h.test("without NOTIFY_SOCKET there is no socket, no folder, and start does not wait")
def _(c):
    box = c.bundle(["sh", "-c", "echo \"<$NOTIFY_SOCKET>\"; ls -d /run/notify; echo up; "
                    "sleep 1000 & wait"])
    env = {k: v for k, v in os.environ.items() if k != "NOTIFY_SOCKET"}
    c.up(box, env=env)
    h.match(r"^<>\n", c.output(box))
    h.lacks("\n/run/notify\n", c.output(box))
    h.eq(False, os.path.exists(os.path.join(c.root, box.id, "notify")))


@h.test("start for a container made with NOTIFY_SOCKET, itself without: it does not wait")
def _(c):
    manager, box = Manager(c), c.sleeper()
    c.create(box, env=manager.env())
    c.rt("start", box.id).ok()
    manager.heard_nothing()


@h.test("start for a container made without it does not wait either")
def _(c):
    manager, box = Manager(c), c.sleeper()
    c.create(box)
    c.rt("start", box.id, env=manager.env()).ok()
    manager.heard_nothing()


@h.test("a program that ends without READY=1 ends the wait; the caller is told nothing")
def _(c):
    h.only_ours("others say nothing")
    manager, box = Manager(c), c.bundle(["true"])
    c.create(box, env=manager.env())
    h.has("ended before it was ready", c.rt("start", box.id, env=manager.env()).ok().err)
    manager.heard_nothing()


@h.test("READY=1 of a program that ends at once is not lost")
def _(c):
    manager, box = Manager(c), c.bundle(["probe", "notify", "READY=1"])
    c.create(box, env=manager.env())
    pid = c.state(box)["pid"]
    start = c.background("start", box.id, env=manager.env())
    manager.hears_ready(pid)
    h.eq(0, start.wait(10))


@h.test("run --detach waits and tells the pid; an abstract name does as well")
def _(c):
    manager, box = Manager(c, "@coracle-test-%d" % os.getpid()), service(c)
    ready(box)
    run = c.background("run", "--detach", "--bundle", box.path, box.id, env=manager.env())
    h.until(lambda: '"running"' in c.rt("state", box.id).out, "the container to run")
    manager.hears_ready(c.state(box)["pid"])
    h.eq(0, run.wait(10))


@h.test("run in the foreground passes READY=1 on and stays whom the caller watches")
def _(c):
    manager, box = Manager(c), c.bundle(["probe", "notify", "X=1\nREADY=1\nMAINPID=1"])
    c.run(box, env=manager.env()).ok()
    h.eq("READY=1", manager.hear()[0].strip())
    if h.is_ours():
        manager.heard_nothing()


@h.test("the container is free for other commands while start waits")
def _(c):
    manager, box = Manager(c), service(c)
    c.create(box, env=manager.env())
    start = c.background("start", box.id, env=manager.env())
    c.wait_status(box, "running")
    c.exec(box, "true").ok()
    c.delete(box, "--force").ok()
    h.eq(0, start.wait(10), "start ends with the program")
    manager.heard_nothing()


@h.test("poststart hooks do not wait for READY=1")
def _(c):
    h.only_ours("crun runs them after it")
    manager, mark = Manager(c), c.path("hooked")

    def edit(config):
        config["hooks"] = {"poststart": [{"path": "/bin/sh", "args": ["sh", "-c",
                                                                      "touch " + mark]}]}
    box = service(c, edit=edit)
    c.create(box, env=manager.env())
    c.background("start", box.id, env=manager.env())
    h.until(lambda: os.path.exists(mark), "the hook")


@h.test("nobody at NOTIFY_SOCKET, or a kind of address that we do not know: a warning")
def _(c):
    h.only_ours("runc fails")
    box = c.sleeper()
    env = {**os.environ, "NOTIFY_SOCKET": c.path("nobody")}
    c.create(box, env=env)
    h.has("nobody to tell", c.rt("start", box.id, env=env).ok().err)
    c.delete(box, "--force").ok()
    c.create(box, env={**env, "NOTIFY_SOCKET": "vsock:2:1"})
    h.has("neither", c.rt("start", box.id, env={**env, "NOTIFY_SOCKET": "vsock:2:1"}).ok().err)


@h.test("a bundle that brings a socket of its own keeps it (Podman and conmon)")
def _(c):
    h.only_ours("others mount theirs above it")
    manager, folder = Manager(c), c.path("notify")
    os.mkdir(folder)
    inner = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    inner.bind(folder + "/notify.sock")
    os.chmod(folder + "/notify.sock", 0o777)
    inner.settimeout(10)

    def edit(config):
        config["mounts"].append(bind(folder, "/run/notify"))
        config["process"]["env"].append("NOTIFY_SOCKET=/run/notify/notify.sock")
    box = c.bundle(["probe", "notify", "READY=1"], edit)
    c.create(box, env=manager.env())
    c.rt("start", box.id, env=manager.env()).ok()
    h.eq(b"READY=1", inner.recv(100))
    manager.heard_nothing()


@h.test("a start that was killed while it waited: another one is refused, delete takes all away")
def _(c):
    manager, box = Manager(c), service(c)
    c.create(box, env=manager.env())
    start = c.background("start", box.id, env=manager.env())
    c.wait_status(box, "running")
    start.kill()
    start.wait()
    h.eq("running", c.status(box))
    c.rt("start", box.id, env=manager.env()).fails("already")
    c.delete(box, "--force").ok()
    h.eq([], [n for n in os.listdir(c.root) if n[0] != "."])


@h.test("in a user namespace the socket can be reached")
def _(c):
    manager = Manager(c)
    box = c.bundle(["probe", "notify", "READY=1"], user_namespace).give(100000)
    c.create(box, env=manager.env())
    pid = c.state(box)["pid"]
    start = c.background("start", box.id, env=manager.env())
    manager.hears_ready(pid)
    h.eq(0, start.wait(10))


if __name__ == "__main__":
    h.main()
