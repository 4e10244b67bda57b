#!/usr/bin/env python3
"""The containerd shim and peers that break the protocol: an error for them, nothing for others."""
import os
import random
import socket
import struct

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


if __name__ == "__main__":
    h.main()
