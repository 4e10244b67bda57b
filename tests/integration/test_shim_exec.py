#!/usr/bin/env python3
"""The containerd shim's execs, terminals and streams."""
import hashlib
import os
import signal
import time

import harness as h
import shim
from shim import enc, one, text


@h.test("shim exec: output, exit status, events in order, delete")
def _(c):
    box = c.sleeper()
    with shim.Shim(c, box) as s:
        s.run(box)
        io = s.stdio("e1")
        s.exec(box, "e1", ["sh", "-c", "echo hello; exit 5"], io)
        h.eq(shim.CREATED, s.status(box, "e1"))
        pid = s.start(box, "e1")
        io.opened()
        h.eq(5, s.wait(box, "e1"))
        h.eq("hello\n", io.join())
        state = s.state(box, "e1")
        h.eq((pid, shim.STOPPED, 5), (one(state, 3), one(state, 4), one(state, 9)))
        h.eq(("e1", "e1"), (text(state, 1), text(state, 11)))
        gone = s.delete(box, "e1")
        h.eq((pid, 5), (one(gone, 1), one(gone, 2)))
        s.main.refused(shim.NOT_FOUND, "State", enc(_1=box.id, _2="e1"))
        s.events.wait("create", "start", "exec-added", "exec-started", "exit")
        h.eq(("e1", pid, 5), (text(s.events.list[4][3], 2), one(s.events.list[4][3], 3),
                              one(s.events.list[4][3], 4)))


@h.test("shim exec: what is refused")
def _(c):
    box = c.sleeper()
    with shim.Shim(c, box) as s:
        s.create(box)
        s.exec(box, "early", ["true"])
        h.has("not running", s.main.refused(shim.FAILED, "Start", enc(_1=box.id, _2="early")))
        s.start(box)
        s.start(box, "early")
        h.eq(0, s.wait(box, "early"))
        s.main.refused(shim.EXISTS, "Exec", enc(_1=box.id, _2="early"))
        s.exec(box, "bad", ["/no/such/program"])
        h.has("no such file or directory",
              s.main.refused(shim.UNKNOWN, "Start", enc(_1=box.id, _2="bad")))
        h.eq(255, s.wait(box, "bad"))
        s.delete(box, "bad")
        s.exec(box, "long", ["sleep", "1000"])
        s.start(box, "long")
        h.has("running", s.main.refused(shim.UNKNOWN, "Delete", enc(_1=box.id, _2="long")))
        s.kill(box, signal.SIGKILL, "long")
        h.eq(137, s.wait(box, "long"))
        s.kill(box)
        s.wait(box)
        h.has("stopped", s.main.refused(shim.UNKNOWN, "Exec", enc(_1=box.id, _2="late")))


@h.test("shim exec: every exec's exit is told before that of the first process")
def _(c):
    box = c.sleeper()
    with shim.Shim(c, box) as s:
        s.run(box)
        for number in range(5):
            s.exec_start(box, "e%d" % number, ["sleep", "1000"])
        s.kill(box)
        h.eq(137, s.wait(box))
        h.until(lambda: s.events.topics().count("exit") == 6, "six exits")
        h.eq(box.id, text([e for e in s.events.list if e[0] == "/tasks/exit"][-1][3], 2))


@h.test("shim exec: a process left in the background does not keep the output open for ever")
def _(c):
    box = c.sleeper()
    with shim.Shim(c, box) as s:
        s.run(box)
        io = s.stdio("e1")
        s.exec_start(box, "e1", ["sh", "-c", "sleep 1000 & echo said"], io)
        h.eq(0, s.wait(box, "e1"))
        start = time.monotonic()
        s.delete(box, "e1")
        h.true(time.monotonic() - start < 15, "delete waited for the background process")
        h.eq("said\n", io.join())


@h.test("shim: stdin reaches the process, and ends with CloseIO, not with the client")
def _(c):
    box = c.bundle(["cat"])
    with shim.Shim(c, box) as s:
        io = s.stdio(stdin=True)
        s.run(box, io)
        writer = io.open_stdin()
        os.write(writer, b"one\n")
        h.until(lambda: io.data["stdout"] == b"one\n", "the first line")
        os.close(writer)
        shim.settle()
        h.eq(shim.RUNNING, s.status(box))
        writer = io.open_stdin()
        os.write(writer, b"two\n")
        os.close(writer)
        s.call("CloseIO", enc(_1=box.id, _3=True))
        h.eq(0, s.wait(box))
        h.eq("one\ntwo\n", io.join())
        s.delete(box)


@h.test("shim exec: stdin closed before the start is closed after it")
def _(c):
    box = c.sleeper()
    with shim.Shim(c, box) as s:
        s.run(box)
        io = s.stdio("e1", stdin=True)
        s.exec(box, "e1", ["cat"], io)
        s.call("CloseIO", enc(_1=box.id, _2="e1", _3=True))
        s.start(box, "e1")
        io.opened()
        h.eq(0, s.wait(box, "e1"))


@h.test("shim: a terminal, its size, its input and its end")
def _(c):
    box = c.bundle(["sh"], terminal=True)
    with shim.Shim(c, box) as s:
        io = s.stdio(terminal=True, stdin=True)
        s.create(box, io)
        s.call("ResizePty", enc(_1=box.id, _3=123, _4=45))
        s.start(box)
        writer = io.open_stdin()
        os.write(writer, b"stty size; tty\n")
        h.until(lambda: b"45 123" in io.data["stdout"], "the size")
        h.until(lambda: b"/dev/" in io.data["stdout"], "a tty")
        s.call("ResizePty", enc(_1=box.id, _3=80, _4=25))
        os.write(writer, b"stty size\n")
        h.until(lambda: b"25 80" in io.data["stdout"], "the new size")
        os.write(writer, b"exit 4\n")
        h.eq(4, s.wait(box))
        io.join()
        s.delete(box)
        os.close(writer)


@h.test("shim exec: a terminal in an exec")
def _(c):
    box = c.sleeper()
    with shim.Shim(c, box) as s:
        s.run(box)
        io = s.stdio("e1", terminal=True, stdin=True)
        s.exec(box, "e1", ["sh", "-c", "stty size; read x; echo got $x"], io)
        s.call("ResizePty", enc(_1=box.id, _2="e1", _3=99, _4=11))
        s.start(box, "e1")
        io.opened()
        writer = io.open_stdin()
        os.write(writer, b"it\n")
        h.eq(0, s.wait(box, "e1"))
        out = io.join()
        h.has("got it", out)
        s.delete(box, "e1")
        os.close(writer)


@h.test("shim: everything that a process writes last arrives, in order")
def _(c):
    box = c.sleeper()
    size = 3_000_000
    with shim.Shim(c, box) as s:
        s.run(box)
        for number, terminal in enumerate((False, True)):
            io = s.stdio("e%d" % number, terminal=terminal)
            s.exec_start(box, "e%d" % number, ["sh", "-c", "stty raw 2>/dev/null; head -c %d /dev/"
                                               "zero | tr '\\0' x; printf END" % size], io)
            h.eq(0, s.wait(box, "e%d" % number))
            s.delete(box, "e%d" % number)
            h.eq("x" * 20 + "END", io.join()[-23:])
            h.eq(size + 3, len(io.data["stdout"]))


@h.test("shim: a client that goes away breaks no pipe, and may come back")
def _(c):
    box = c.bundle(["sh", "-c", "while :; do echo tick || exit 9; sleep 0.05; done"])
    with shim.Shim(c, box) as s:
        io = s.stdio(readers=False)
        s.run(box, io)
        reader = os.open(io.paths["stdout"], os.O_RDONLY)
        h.eq(b"tick\n", os.read(reader, 5))
        os.close(reader)
        shim.settle(0.3)
        h.eq(shim.RUNNING, s.status(box))
        reader = os.open(io.paths["stdout"], os.O_RDONLY)
        h.eq(b"tick\n", os.read(reader, 5))
        os.close(reader)


@h.test("shim: nobody reads: the process is stopped by it, others are not")
def _(c):
    box = c.sleeper()
    with shim.Shim(c, box) as s:
        s.run(box)
        stuck = s.stdio("stuck", readers=False)
        s.exec_start(box, "stuck", ["sh", "-c", "while :; do echo xxxxxxxxxxxxxxxxxx; done"], stuck)
        tty = s.stdio("tty", readers=False, terminal=True)
        s.exec_start(box, "tty", ["sh", "-c", "while :; do echo xxxxxxxxxxxxxxxxxx; done"], tty)
        shim.settle(0.5)
        io = s.stdio("ok")
        s.exec_start(box, "ok", ["echo", "fine"], io)
        h.eq(0, s.wait(box, "ok"))
        h.eq("fine\n", io.join())
        with open("/proc/%d/stat" % s.shim_pid, encoding="ascii") as file:
            before = file.read().split()
        shim.settle(0.5)
        with open("/proc/%d/stat" % s.shim_pid, encoding="ascii") as file:
            after = file.read().split()
        h.true(int(after[13]) + int(after[14]) - int(before[13]) - int(before[14]) <= 2,
               "the shim is busy with streams that nobody reads")


@h.test("shim: stdout is the client's fifo itself, and its owner may open it again")
def _(c):
    box = c.bundle(["sh", "-c", "echo again > /proc/self/fd/1"], user={"uid": 1000, "gid": 1000})
    with shim.Shim(c, box) as s:
        io = s.stdio()
        s.run(box, io)
        h.eq(0, s.wait(box))
        h.eq("again\n", io.join())
        h.eq(1000, os.stat(io.paths["stdout"]).st_uid)
        s.delete(box)


@h.test("shim: stdout and stderr into one file:// log")
def _(c):
    box = c.bundle(["sh", "-c", "echo one; echo two >&2; echo three"])
    with shim.Shim(c, box) as s:
        log = c.path("logs/deep/log")
        uri = "file://" + log
        s.run(box, paths={"_out": uri, "_err": uri})
        h.eq(0, s.wait(box))
        s.delete(box)
        with open(log, encoding="ascii") as file:
            h.eq("one\ntwo\nthree\n", file.read())


def logger(c, body):
    """A program for a binary:// URI."""
    path = c.path("logger")
    with open(path, "w", encoding="ascii") as file:
        file.write("#!/bin/sh\n" + body)
    os.chmod(path, 0o755)
    return "binary://" + path


@h.test("shim: a binary:// logger gets the output, its words, and its time")
def _(c):
    box = c.bundle(["sh", "-c", "echo one; echo two >&2"])
    uri = logger(c, """exec >%s 2>&1
echo "$@"; env | grep ^CONTAINER | sort; [ "$(ls /proc/self/fd | wc -l)" -lt 8 ] && echo tidy
touch %s; echo >&5; exec 5>&-
cat <&3; cat <&4; sleep 0.5; echo end
""" % (c.path("got"), c.path("ready")))
    with shim.Shim(c, box) as s:
        uri += "?key=some%20value&flag"
        s.create(box, paths={"_out": uri, "_err": uri})
        h.true(os.path.exists(c.path("ready")), "the logger was not waited for")
        s.start(box)
        h.eq(0, s.wait(box))
        s.delete(box)
        with open(c.path("got"), encoding="ascii") as file:
            h.eq("key some value flag\nCONTAINER_ID=%s\nCONTAINER_NAMESPACE=test\ntidy\n"
                 "one\ntwo\nend\n" % box.id, file.read())


@h.test("shim: a binary:// logger of a terminal, and one that does not end by itself")
def _(c):
    box = c.bundle(["tty"], terminal=True)
    uri = logger(c, "exec 5>&-; cat <&3 >%s; exec sleep 1000\n" % c.path("got"))
    with shim.Shim(c, box) as s:
        s.run(box, paths={"_terminal": True, "_out": uri})
        h.eq(0, s.wait(box))
        start = time.monotonic()
        s.delete(box)
        h.true(time.monotonic() - start < 8, "delete waited for the logger")
        with open(c.path("got"), encoding="ascii") as file:
            h.has("/dev/", file.read())


@h.test("shim: a logger that is not there fails the create")
def _(c):
    box = c.bundle(["true"])
    with shim.Shim(c, box) as s:
        words = s.main.refused(shim.UNKNOWN, "Create", s.create_payload(
            box, paths={"_out": "binary:///no/such/logger"}))
        h.has("/no/such/logger", words)
        s.create(box)
        s.delete(box)


@h.test("shim: many bytes through stdout cost the shim nothing, and none is lost")
def _(c):
    size = 200 << 20
    box = c.bundle(["sh", "-c", "head -c %d /dev/urandom | tee /proc/self/fd/2 | sha256sum >/sum"
                    % size])
    with shim.Shim(c, box) as s:
        io = s.stdio(readers=False)
        done = hashlib.sha256()
        s.create(box, io)
        reader = os.open(io.paths["stderr"], os.O_RDONLY | os.O_NONBLOCK)
        os.set_blocking(reader, True)
        s.start(box)
        while True:
            part = os.read(reader, 1 << 20)
            if not part:
                break
            done.update(part)
        os.close(reader)
        h.eq(0, s.wait(box))
        with open("/proc/%d/stat" % s.shim_pid, encoding="ascii") as file:
            ticks = sum(map(int, file.read().split()[13:15]))
        with open(box.file("sum"), encoding="ascii") as file:
            h.eq(file.read().split()[0], done.hexdigest())
        h.true(ticks < 10, "the shim used %d ticks" % ticks)
        s.delete(box)


if __name__ == "__main__":
    h.main()
