#!/usr/bin/env python3
"""Which descriptors and environment a container gets of its caller."""
import os
import re
import socket

import harness as h


def opened(c, count=1):
    """`count` inheritable descriptors on files with known content, from 3 upwards."""
    fds = []
    for number in range(count):
        with open(c.path("fd%d" % number), "w", encoding="ascii") as file:
            file.write("content %d\n" % number)
        fd = os.open(c.path("fd%d" % number), os.O_RDONLY)
        os.dup2(fd, 3 + number)
        if fd != 3 + number:
            os.close(fd)
        os.set_inheritable(3 + number, True)
        fds.append(3 + number)
    return fds


def run_with_fds(c, fds, box, *options, env=None):
    return c.run(box, *options, pass_fds=fds, env=env)


@h.test("run gives the program 0, 1 and 2 only, whatever the caller has open")
def _(c):
    fds = opened(c, 60)
    h.eq("0 1 2 \n", run_with_fds(c, fds, c.bundle(["probe", "fds"])).ok().out)
    for fd in fds:
        os.close(fd)


@h.test("create and start: the same")
def _(c):
    fds = opened(c, 20)
    box = c.bundle(["probe", "fds"])
    c.create(box, pass_fds=fds)
    c.start(box)
    c.wait_stopped(box)
    h.eq("0 1 2 \n", c.output(box))
    for fd in fds:
        os.close(fd)


@h.test("a container that waits for start holds no file of the host but its streams")
def _(c):
    box = c.bundle(["true"])
    c.create(box)
    pid = c.state(box)["pid"]
    held = {}
    for name in os.listdir("/proc/%d/fd" % pid):
        held[name] = os.readlink("/proc/%d/fd/%s" % (pid, name))
    if not h.is_ours():
        return
    for name, target in held.items():
        h.true(int(name) < 3 or target.startswith(("socket:", "/memfd:", "anon_inode:", "pipe:")),
               "fd %s is %s" % (name, target))


@h.test("--preserve-fds N gives exactly N more, in their places")
def _(c):
    fds = opened(c, 4)
    box = c.bundle(["sh", "-c", "cat <&3; cat <&4; probe fds"])
    done = run_with_fds(c, fds, box, "--preserve-fds", "2").ok()
    h.eq("content 0\ncontent 1\n0 1 2 3 4 \n", done.out)
    for fd in fds:
        os.close(fd)


@h.test("--preserve-fds over create and start")
def _(c):
    fds = opened(c, 1)
    box = c.bundle(["sh", "-c", "cat <&3"])
    c.create(box, "--preserve-fds", "1", pass_fds=fds)
    c.start(box)
    c.wait_stopped(box)
    h.eq("content 0\n", c.output(box))
    os.close(3)


@h.test("--preserve-fds of a descriptor that is not open is refused")
def _(c):
    c.run(c.bundle(["true"]), "--preserve-fds", "5").fails()
    for bad in ("-1", "x", "99999999999"):
        c.run(c.bundle(["true"]), "--preserve-fds", bad).fails()


@h.test("LISTEN_FDS: sockets come through with LISTEN_PID 1")
def _(c):
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(c.path("sock"))
    server.listen(1)
    os.dup2(server.fileno(), 3)
    os.set_inheritable(3, True)
    # LISTEN_PID must name the process that starts: a shell that becomes the runtime.
    box = c.bundle(["sh", "-c", "probe fds 1; echo $LISTEN_FDS $LISTEN_PID $LISTEN_FDNAMES"])
    command = ["sh", "-c", "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=web exec \"$@\"", "sh",
               *h.runtime(), "--root", c.root, "run", "-b", box.path, box.id]
    done = c.command(command, pass_fds=[3]).ok()
    h.match(r"3=socket:", done.out)
    h.match(r"^1 1 web$" if h.is_ours() else r"^1 1( web)?$", done.out)
    os.close(3)


@h.test("LISTEN_FDS of another process is not ours")
def _(c):
    fds = opened(c, 1)
    box = c.bundle(["sh", "-c", "probe fds; echo $LISTEN_FDS."])
    done = run_with_fds(c, fds, box, env=dict(os.environ, LISTEN_FDS="1", LISTEN_PID="1"))
    if h.is_ours():
        h.eq("0 1 2 \n.\n", done.ok().out)
    os.close(3)


@h.test("a closed standard stream of the caller is no way in")
def _(c):
    box = c.bundle(["probe", "fds", "1"])
    command = ["sh", "-c", "exec 0<&-; exec \"$@\"", "sh", *h.runtime(), "--root", c.root, "run",
               "-b", box.path, box.id]
    done = c.command(command)
    if done.status == 0:
        h.eq(["0", "1", "2"], re.findall(r"(\d+)=", done.out))
        h.lacks(c.scratch + "/state", done.out)


if __name__ == "__main__":
    h.main()
