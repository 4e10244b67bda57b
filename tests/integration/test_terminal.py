#!/usr/bin/env python3
"""process.terminal, --console-socket, exec -t."""
import fcntl
import os
import pty
import struct
import termios

import harness as h
from terminal import ConsoleSocket, read_until


def with_terminal(c, args, edit=None, **process):
    """create + start with a console socket; returns (box, master, name)."""
    box = c.bundle(args, edit, terminal=True, **process)
    console = ConsoleSocket(c.path("console-" + box.id))
    c.create(box, "--console-socket", console.path)
    master, name = console.accept()
    console.close()
    c.start(box)
    return box, master, name


@h.test("the container's standard streams are a terminal of its own, /dev/console is it")
def _(c):
    _, master, name = with_terminal(c, ["probe", "tty"])
    text = read_until(master, "\n")
    h.has("tty=111", text)
    h.match(r"name=/dev/(pts/0|console)", text)
    h.has("ctty=1", text)
    h.has("console=1", text)
    h.has("sid=1", text)
    h.true(name, "no name came with the descriptor")
    os.close(master)


@h.test("words typed arrive and the answer comes back")
def _(c):
    _, master, _ = with_terminal(c, ["sh", "-c", "echo ready; read x; echo got $x"])
    read_until(master, "ready")
    os.write(master, b"hello\n")
    read_until(master, "got hello")
    os.close(master)


@h.test("control-C reaches the foreground program as SIGINT")
def _(c):
    box, master, _ = with_terminal(c, ["sh", "-c", "trap 'echo interrupted; exit 3' INT; "
                                       "echo ready; while :; do sleep 0.05; done"])
    read_until(master, "ready")
    os.write(master, b"\x03")
    read_until(master, "interrupted")
    c.wait_stopped(box)
    os.close(master)


@h.test("consoleSize is the terminal's size")
def _(c):
    _, master, _ = with_terminal(c, ["probe", "tty"], consoleSize={"height": 33, "width": 111})
    h.has("rows=33 cols=111", read_until(master, "\n"))
    os.close(master)


@h.test("the terminal belongs to the container's user")
def _(c):
    _, master, _ = with_terminal(c, ["probe", "tty"], user={"uid": 1000, "gid": 1000})
    h.has("uid=1000", read_until(master, "\n"))
    os.close(master)


@h.test("a new size given to the master reaches the container")
def _(c):
    _, master, _ = with_terminal(c, ["sh", "-c", "trap 'probe tty' WINCH; echo ready; "
                                     "while :; do sleep 0.05; done"])
    read_until(master, "ready")
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 44, 55, 0, 0))
    h.has("rows=44 cols=55", read_until(master, "cols=55"))
    os.close(master)


@h.test("closing the master hangs the container up")
def _(c):
    box, master, _ = with_terminal(c, ["sh", "-c", "trap 'exit 0' HUP; echo ready; "
                                       "while :; do sleep 0.05; done"])
    read_until(master, "ready")
    os.close(master)
    c.wait_stopped(box)


@h.test("a terminal needs a console socket in create, and the socket a terminal")
def _(c):
    c.try_create(c.bundle(["true"], terminal=True)).fails()
    console = ConsoleSocket(c.path("console"))
    if h.is_ours():
        c.try_create(c.bundle(["true"]), "--console-socket", console.path).fails()
    console.close()
    c.try_create(c.bundle(["true"], terminal=True), "--console-socket", c.path("absent")).fails()


@h.test("a console socket with a path of more than 107 bytes")
def _(c):
    h.only_ours("others cannot")
    folder = c.path("x" * 100)
    os.mkdir(folder)
    box = c.bundle(["probe", "tty"], terminal=True)
    console = ConsoleSocket(os.path.join(folder, "console"))
    c.create(box, "--console-socket", console.path)
    master, _ = console.accept()
    c.start(box)
    h.has("tty=111", read_until(master, "\n"))
    os.close(master)


@h.test("exec -t with a console socket; without one of its own the terminal is another")
def _(c):
    box = c.up(c.sleeper())
    console = ConsoleSocket(c.path("console"))
    c.exec(box, "probe", "tty", options=["-t", "-d", "--console-socket", console.path]).ok()
    master, _ = console.accept()
    text = read_until(master, "\n")
    h.has("tty=111", text)
    h.has("ctty=1", text)
    os.close(master)


@h.test("run with a terminal in the foreground speaks through the caller's")
def _(c):
    box = c.bundle(["sh", "-c", "probe tty; echo ready; read x; echo got $x; exit 5"],
                   terminal=True)
    pid, master = pty.fork()
    if pid == 0:
        argv = h.runtime() + ["--root", c.root, "run", "-b", box.path, box.id]
        try:
            os.execvp(argv[0], argv)
        finally:
            os._exit(127)
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 21, 87, 0, 0))
    text = read_until(master, "ready")
    h.has("tty=111", text)
    os.write(master, b"hello\n")
    read_until(master, "got hello")
    _, status = os.waitpid(pid, 0)
    h.eq(5, os.waitstatus_to_exitcode(status))
    os.close(master)


@h.test("exec -t in the foreground from a terminal")
def _(c):
    box = c.up(c.sleeper())
    pid, master = pty.fork()
    if pid == 0:
        argv = h.runtime() + ["--root", c.root, "exec", "-t", box.id, "sh", "-c",
                              "probe tty; echo end; exit 6"]
        try:
            os.execvp(argv[0], argv)
        finally:
            os._exit(127)
    text = read_until(master, "end")
    h.has("tty=111", text)
    _, status = os.waitpid(pid, 0)
    h.eq(6, os.waitstatus_to_exitcode(status))
    os.close(master)


@h.test("lines end plainly where standard output is no terminal, and for a screen where it is")
def _(c):
    h.eq("one\ntwo\n", c.check_output(["echo", "-e", "one\\ntwo"], terminal=True))
    box = c.up(c.sleeper())
    h.eq("one\n", c.exec(box, "echo", "one", options=["-t"]).ok().out)
    shown = c.bundle(["echo", "-e", "one\\ntwo"], terminal=True)
    pid, master = pty.fork()
    if pid == 0:
        argv = h.runtime() + ["--root", c.root, "run", "-b", shown.path, shown.id]
        try:
            os.execvp(argv[0], argv)
        finally:
            os._exit(127)
    h.eq(0, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    h.eq(b"one\r\ntwo\r\n", os.read(master, 4096))
    os.close(master)


@h.test("without terminal the container has none and cannot open /dev/tty")
def _(c):
    out = c.check_output(["probe", "tty"])
    h.has("tty=000", out)
    h.has("ctty=0", out)


@h.test("/dev/pts is the container's own")
def _(c):
    _, master, _ = with_terminal(c, ["sh", "-c", "ls /dev/pts | tr '\\n' ' '; echo end"])
    h.eq({"0", "ptmx", "end"}, set(read_until(master, "end\n").split()))
    os.close(master)


@h.test("a terminal that nobody is at the other end of is refused, and says what to do")
def _(c):
    h.only_ours("the words")
    box = c.bundle(["sh"], terminal=True)
    c.rt("run", "-d", "-b", box.path, box.id).fails("process.terminal.*--console-socket", status=1)
    c.rt("run", "-b", box.path, box.id).fails("process.terminal.*standard input is not a terminal"
                                               ".*--console-socket", status=1)
    h.true(not os.path.exists(c.root), "it made something")
    c.up(c.sleeper())
    c.rt("exec", "-t", "-d", c.ids[-1], "true").fails("process.terminal.*--console-socket",
                                                       status=255)


@h.test("exec -t: the end of standard input is the end of the terminal's")
def _(c):
    box = c.up(c.sleeper())
    h.eq(3, c.exec(box, "sh", "-c", "read x; exit 3", options=["-t"]).status)
    h.eq("got one\n", c.rt("exec", "-t", box.id, "sh", "-c", "read x; echo got $x; read y",
                           stdin="one\n").out.replace("one\n", "", 1))


@h.test("plan of a bundle as spec writes it, with a terminal, needs no console socket")
def _(c):
    h.only_ours("our command")
    os.makedirs(c.path("fresh/rootfs"))
    c.rt("spec", cwd=c.path("fresh")).ok()
    out = c.rt("plan", ".", cwd=c.path("fresh")).ok().out
    h.match("console", out)


if __name__ == "__main__":
    h.main()
