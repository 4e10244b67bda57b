"""A service manager that waits for sd_notify(3)."""
import array
import os
import socket

import harness as h


class Manager:
    """What a service manager is to the runtime: a socket that hears messages and drops barriers."""

    def __init__(self, c, name=None):
        self.name = name or c.path("manager")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + name[1:] if name and name[0] == "@" else self.name)
        self.socket.settimeout(10)

    def env(self):
        return {**os.environ, "NOTIFY_SOCKET": self.name}

    def hear(self):
        """(text, had a descriptor); the descriptor is closed, as the protocol wants it."""
        fds = array.array("i")
        text, control, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(4))
        for _, kind, data in control:
            if kind == socket.SCM_RIGHTS:
                fds.frombytes(data[:4])
        for fd in fds:
            os.close(fd)
        return text.decode(), bool(fds)

    def heard_nothing(self):
        self.socket.settimeout(0)
        try:
            h.fail("told %r" % (self.hear(),))
        except BlockingIOError:
            self.socket.settimeout(10)

    def hears_ready(self, pid):
        """READY=1 and the pid, in one message or two, and then the barrier."""
        lines = []
        while True:
            text, barrier = self.hear()
            if barrier:
                h.eq("BARRIER=1", text)
                break
            lines += text.split("\n")
        h.true("READY=1" in lines, "no READY=1 in %r" % lines)
        h.true("MAINPID=%d" % pid in lines, "no MAINPID=%d in %r" % (pid, lines))

    def hear_all(self):
        """Until the process ends; for a thread."""
        self.socket.settimeout(None)
        while True:
            self.hear()
