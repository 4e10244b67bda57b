#!/usr/bin/env python3
"""The containerd shim and peers that break the protocol: an error for them, nothing for others."""
import os
import random
import resource
import shutil
import socket
import struct
import subprocess

import harness as h
import shim
from shim import enc, one


def raw(s):
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(10)
    sock.connect(s.address[7:])
    return sock


def answer(sock):
    """(stream, code) of the next answer."""
    stream, kind, data = shim.read_frame(sock)
    h.eq(2, kind)
    return stream, one(shim.dec(one(shim.dec(data), 1, b"")), 1)


def request(method="State", payload=b"", stream=1):
    return shim.frame(stream, 1, enc(_1=shim.TASK, _2=method, _3=payload))


def is_well(s, box):
    """Others are served, by the same process."""
    h.eq(shim.RUNNING, s.status(box))
    h.eq([s.shim_pid], s.pids())


@h.test("shim: streams that are even, used again, or going back are refused, each by itself")
def _(c):
    box = c.sleeper()
    with shim.Shim(c, box) as s:
        s.run(box)
        sock = raw(s)
        for stream, want in ((2, shim.INVALID), (5, shim.NOT_FOUND), (5, shim.INVALID),
                             (3, shim.INVALID), (7, shim.NOT_FOUND)):
            sock.sendall(request(stream=stream))
            h.eq((stream, want), answer(sock))
        is_well(s, box)


@h.test("shim: frames of unknown types are ignored, malformed requests refused")
def _(c):
    box = c.sleeper()
    with shim.Shim(c, box) as s:
        s.run(box)
        sock = raw(s)
        for kind in (0, 2, 3, 4, 255):
            sock.sendall(shim.frame(1, kind, b"whatever"))
        for number, bad in enumerate((b"\xff", b"\x0a\x05a", b"\x08\x01", b"\x0b", b"\x00\x00")):
            sock.sendall(shim.frame(2 * number + 1, 1, bad))
            h.eq((2 * number + 1, shim.INVALID), answer(sock))
        for number, method in enumerate(("Create", "Exec", "Kill", "Update", "Checkpoint", "Wait",
                                         "Delete", "Start", "ResizePty", "Shutdown", "Stats")):
            stream = 101 + 2 * number
            sock.sendall(request(method, b"\x08", stream))
            h.eq((stream, shim.INVALID), answer(sock))
        is_well(s, box)


@h.test("shim: a frame beyond 4 MiB is refused, and the next one served")
def _(c):
    box = c.sleeper()
    with shim.Shim(c, box) as s:
        s.run(box)
        sock = raw(s)
        size = (4 << 20) + 1
        sock.sendall(struct.pack(">IIBB", size, 1, 1, 0))
        h.eq((1, shim.EXHAUSTED), answer(sock))
        sock.sendall(b"x" * size + request("State", enc(_1=box.id), 3))
        h.eq((3, 0), answer(sock))
        is_well(s, box)


@h.test("shim: what is only claimed costs nothing: 200 half frames of 4 MiB")
def _(c):
    box = c.sleeper()
    with shim.Shim(c, box) as s:
        s.run(box)
        before = s.memory()[0]
        socks = []
        for _ in range(200):
            sock = raw(s)
            sock.sendall(struct.pack(">IIBB", 4 << 20, 1, 1, 0) + b"x" * 100)
            socks.append(sock)
        is_well(s, box)
        shim.settle()
        h.true(s.memory()[0] - before < 1500, "%d KiB" % (s.memory()[0] - before))
        fds = s.memory()[2]
        for sock in socks:
            sock.close()
        h.until(lambda: s.memory()[2] == fds - 200, "the end of their connections")
        is_well(s, box)


@h.test("shim: a peer that asks and never reads is not read from, and holds up nobody")
def _(c):
    box = c.sleeper()
    with shim.Shim(c, box) as s:
        s.run(box)
        sock = raw(s)
        sock.setblocking(False)
        stream = sent = 0
        try:
            for stream in range(1, 4_000_000, 2):
                data = request("State", enc(_1=box.id), stream)
                sent += sock.send(data)
        except BlockingIOError:
            pass
        h.true(stream < 3_999_999, "everything was taken")
        is_well(s, box)
        if not os.environ.get("CORACLE_SANITIZED"):  # whose own memory is ten times as much
            h.true(s.memory()[0] < 8000, "PSS of %d KiB" % s.memory()[0])
        sock.close()
        is_well(s, box)


@h.test("shim: waits that nobody will hear the end of are bounded, and forgotten in the end")
def _(c):
    box = c.sleeper()
    with shim.Shim(c, box) as s:
        s.run(box)
        sock = raw(s)
        refused = None
        for number in range(17000):
            sock.sendall(request("Wait", enc(_1=box.id), 2 * number + 1))
        refused = answer(sock)
        h.eq(shim.EXHAUSTED, refused[1])
        sock.close()
        is_well(s, box)
        s.kill(box)
        h.eq(137, s.wait(box))


@h.test("shim: hang-ups at every byte of a request")
def _(c):
    box = c.sleeper()
    with shim.Shim(c, box) as s:
        s.run(box)
        data = request("State", enc(_1=box.id))
        shim.settle()  # the answer comes before the descriptors of its making go
        before = s.memory()[2]
        for size in range(len(data) + 1):
            sock = raw(s)
            sock.sendall(data[:size])
            sock.close()
        h.until(lambda: s.memory()[2] == before, "the end of their connections")
        half = raw(s)
        half.sendall(data)
        half.shutdown(socket.SHUT_WR)
        half.close()
        is_well(s, box)


@h.test("shim: random bytes and randomly changed requests end nothing")
def _(c):
    box = c.sleeper()
    with shim.Shim(c, box) as s:
        s.run(box)
        chance = random.Random(4)
        methods = ["State", "Pids", "Stats", "Exec", "Start", "ResizePty", "CloseIO", "Connect",
                   "Delete", "Wait", "Update", "Create", "Resume", "Checkpoint"]
        for _ in range(300):
            sock = raw(s)
            data = bytearray()
            for stream in range(1, 12, 2):
                data += request(chance.choice(methods), enc(_1=box.id, _2="x", _3=b"\x08\x01"),
                                stream)
            for _ in range(chance.randrange(1, 8)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            try:
                sock.sendall(data)
                sock.sendall(bytes(chance.randrange(256) for _ in range(50)))
            except OSError:
                pass
            sock.close()
        shim.settle()
        is_well(s, box)


@h.test("shim: ids that are paths, and bundles that are none, are refused")
def _(c):
    box = c.sleeper()
    with shim.Shim(c, box) as s:
        s.run(box)
        for name in ("../x", "a/b", "", ".hidden", "x" * 300):
            s.main.refused(shim.UNKNOWN, "Create", enc(_1=name, _2=box.path))
        s.main.refused(shim.INVALID, "Create", enc(_1="ok", _2="relative"))
        is_well(s, box)


@h.test("shim: another user is turned away even if he finds a way to the socket")
def _(c):
    box = c.sleeper()
    with shim.Shim(c, box) as s:
        s.run(box)
        path = s.address[7:]
        os.chmod(path, 0o777)
        os.chmod(s.folder, 0o755)
        os.chmod(c.scratch, 0o755)
        pid = os.fork()
        if pid == 0:
            os.setgid(1000)
            os.setuid(1000)
            status = 1
            try:
                sock = raw(s)
                sock.sendall(request("State", enc(_1=box.id)))
                status = 0 if sock.recv(10) == b"" else 2
            except OSError:
                status = 0
            os._exit(status)
        h.eq(0, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        is_well(s, box)


class Inject:
    """strace(1) lets system calls of a running process fail, as its -e inject= says."""

    def __init__(self, pid, what):
        if not shutil.which("strace"):
            h.skip("strace is not installed")
        self.child = subprocess.Popen(["strace", "-p", str(pid), "-o", "/dev/null", "-e",
                                       "inject=" + what], stderr=subprocess.PIPE)
        h.has(b"attached", self.child.stderr.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.terminate()
        self.child.wait()
        self.child.stderr.close()


@h.test("shim: an answer that cannot be sent for want of memory is sent later")
def _(c):
    box = c.sleeper()
    with shim.Shim(c, box) as s:
        s.run(box)
        for error in ("ENOBUFS", "ENOMEM"):
            with Inject(s.shim_pid, "sendto:error=%s:when=1..3" % error):
                h.eq(shim.RUNNING, s.status(box), error)
        is_well(s, box)


@h.test("shim: an answer that cannot be sent at all is a hang-up")
def _(c):
    box = c.sleeper()
    with shim.Shim(c, box) as s:
        s.run(box)
        sock = raw(s)
        h.until(lambda: len(s.events.list) == 2, "its events")
        shim.settle()
        with Inject(s.shim_pid, "sendto:error=EIO:when=1"):
            sock.sendall(request(payload=enc(_1=box.id)))
            h.eq(b"", sock.recv(1))
        is_well(s, box)


@h.test("shim: an event that cannot be sent comes later, and costs no processor time")
def _(c):
    box = c.sleeper()
    with shim.Shim(c, box) as s:
        s.create(box)
        h.until(lambda: len(s.events.list) == 1, "its event")
        shim.settle()
        with Inject(s.shim_pid, "sendto:error=EIO:when=1..4"):
            s.main.send("Start", enc(_1=box.id))
            before = ticks(s.shim_pid)
            h.until(lambda: len(s.events.list) == 2, "the event", 10)
            h.true(ticks(s.shim_pid) - before < 20, "processor time")


def ticks(pid):
    with open("/proc/%d/stat" % pid, encoding="ascii") as file:
        return sum(map(int, file.read().rsplit(")", 1)[1].split()[11:13]))


@h.test("shim: a daemon that is killed before it serves leaves no socket, and start fails")
def _(c):
    if not shutil.which("strace"):
        h.skip("strace is not installed")
    box = c.bundle(["true"])
    kill = ["strace", "-f", "-o", "/dev/null", "-e", "inject=epoll_create1:signal=KILL"]
    try:
        shim.Shim(c, box, prefix=kill)
        h.fail("start succeeded")
    except h.Failure as failure:
        h.has("before it served", str(failure))
    h.eq([], [name for name in os.listdir(c.path("shim"))
              if name not in ("containerd-shim-coracle-v2", "e.ttrpc")])
    with shim.Shim(c, box) as s:  # and the next one is served
        s.run(box)
        h.eq(0, s.wait(box))


@h.test("shim: 10,000 connections and 3,000 hostile frames are survived")
def _(c):
    resource.setrlimit(resource.RLIMIT_NOFILE, (16384, 16384))
    box = c.sleeper()
    with shim.Shim(c, box) as s:
        s.run(box)
        shim.settle()  # the answer comes before the descriptors of its making go
        before = s.memory()[2]
        made = 0
        while made < 10_000:  # in waves: the kernel's queue has an end
            wave = []
            for _ in range(2500):
                sock = socket.socket(socket.AF_UNIX)
                sock.settimeout(10)
                sock.connect(s.address[7:])
                wave.append(sock)
            made += len(wave)
            is_well(s, box)
            for sock in wave:
                sock.close()
        h.until(lambda: s.memory()[2] == before, "the end of their connections", 20)
        chance = random.Random(23)
        for _ in range(30):
            sock = raw(s)
            try:
                for _ in range(100):
                    body = bytes(chance.randrange(256) for _ in range(chance.randrange(80)))
                    sock.sendall(struct.pack(">IIBB", chance.choice(
                        (len(body), 0, 1 << 31, 5 << 20, 0xffffffff)), chance.randrange(1 << 32),
                        chance.randrange(4), chance.randrange(256)) + body)
            except OSError:
                pass
            sock.close()
        is_well(s, box)


if __name__ == "__main__":
    h.main()
