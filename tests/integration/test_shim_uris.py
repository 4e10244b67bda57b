#!/usr/bin/env python3
"""The containerd shim's standard streams as URIs, in their grammar: schemes, encoding, readiness."""
import json
import os
import time

import harness as h
import shim
from shim import enc


def logger(c, body, name="logger"):
    path = c.path(name)
    with open(path, "w", encoding="ascii") as file:
        file.write("#!/bin/sh\n" + body)
    os.chmod(path, 0o755)
    return path


def text_of(path):
    with open(path, encoding="ascii") as file:
        return file.read()


@h.test("shim: a fifo:// URI is the path in it")
def _(c):
    box = c.bundle(["sh", "-c", "read line; echo got $line; echo err >&2"])
    with shim.Shim(c, box) as s:
        io = s.stdio(stdin=True)
        s.run(box, paths={"_in": "fifo://" + io.paths["stdin"],
                          "_out": "fifo://" + io.paths["stdout"],
                          "_err": "fifo://" + io.paths["stderr"]})
        io.opened()
        writer = io.open_stdin()
        os.write(writer, b"it\n")
        os.close(writer)
        h.eq(0, s.wait(box))
        h.eq(("got it\n", b"err\n"), (io.join(), io.data["stderr"]))


@h.test("shim: a scheme that nobody knows is refused by its name, and nothing is left")
def _(c):
    box = c.bundle(["true"])
    with shim.Shim(c, box) as s:
        for field in ("_in", "_out", "_err"):
            said = s.main.refused(shim.UNKNOWN, "Create",
                                  s.create_payload(box, paths={field: "gopher://x/y"}))
            h.has("unknown STDIO scheme gopher", said)
        fds = s.memory()[2]
        s.main.refused(shim.UNKNOWN, "Create",
                       s.create_payload(box, paths={"_out": "gopher://x/y"}))
        h.eq(fds, s.memory()[2], "descriptors")
        s.create(box)
        s.delete(box)


@h.test("shim: paths in URIs are percent-encoded; a plus is a plus, a query is none of the path")
def _(c):
    box = c.bundle(["sh", "-c", "echo one"])
    program = logger(c, "exec 5>&-; echo \"$@\" >%s; cat <&3 >>%s\n" %
                     (c.path("got"), c.path("got")), "log c++ 1")
    with shim.Shim(c, box) as s:
        uri = "binary://" + program.replace(" ", "%20") + "?a+b=c%2Bd"
        s.run(box, paths={"_out": uri, "_err": uri})
        h.eq(0, s.wait(box))
        s.delete(box)
        h.eq("a b c+d\none\n", text_of(c.path("got")))
        s.run(box, paths={"_out": "file://" + c.path("a%20b") + "?max=1"})
        h.eq(0, s.wait(box))
        s.delete(box)
        h.eq("one\n", text_of(c.path("a b")))


@h.test("shim: a file:// log of a terminal, and of an exec")
def _(c):
    box = c.bundle(["sh", "-c", "tty; sleep 1000"], terminal=True)
    with shim.Shim(c, box) as s:
        s.run(box, paths={"_terminal": True, "_out": "file://" + c.path("log")})
        h.until(lambda: "/dev/" in text_of(c.path("log")), "the first line")
        spec = dict(box.config["process"], args=["sh", "-c", "echo a; echo b >&2"], terminal=False)
        s.call("Exec", enc(_1=box.id, _2="e", _5="file://" + c.path("exec"),
                           _6="file://" + c.path("exec"), _7=shim.any_of("x", json.dumps(spec))))
        s.start(box, "e")
        h.eq(0, s.wait(box, "e"))
        s.delete(box, "e")
        h.eq("a\nb\n", text_of(c.path("exec")))
        s.kill(box)
        s.wait(box)
        s.delete(box)


@h.test("shim: binary-v2:// has to say that it is ready; binary:// may only close")
def _(c):
    box = c.bundle(["echo", "out"])
    silent = logger(c, "exec 5>&-; cat <&3 >%s\n" % c.path("silent.log"), "silent")
    crashing = logger(c, "exit 3\n", "crashing")
    ready = logger(c, "printf x >&5; exec 5>&-; cat <&3 >%s\n" % c.path("ready.log"), "ready")
    with shim.Shim(c, box) as s:
        for program in (silent, crashing):
            said = s.main.refused(shim.UNKNOWN, "Create", s.create_payload(
                box, paths={"_out": "binary-v2://" + program}))
            h.has("without saying that it is ready", said)
            s.main.refused(shim.NOT_FOUND, "State", enc(_1=box.id))
        for uri in ("binary-v2://" + ready, "binary://" + silent):
            s.run(box, paths={"_out": uri})
            h.eq(0, s.wait(box))
            s.delete(box)
            h.eq("out\n", text_of(uri.split("://")[1] + ".log"))


@h.test("shim: a logger that dies breaks no pipe; the container goes on, and delete is quick")
def _(c):
    box = c.bundle(["sh", "-c", "for i in 1 2 3; do echo $i || exit 9; sleep 0.2; done"])
    program = logger(c, "exec 5>&-; exit 0\n")
    with shim.Shim(c, box) as s:
        s.run(box, paths={"_out": "binary://" + program})
        h.eq(0, s.wait(box))
        begin = time.monotonic()
        s.delete(box)
        h.true(time.monotonic() - begin < 2, "delete took its time")


if __name__ == "__main__":
    h.main()
