"""A terminal with a person at it: types, reads, resizes."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

from scenario import PATIENCE, Failure


class Terminal:
    """A command below a terminal of its own."""

    def __init__(self, t, command, rows=24, columns=80):
        self.text = ""
        self.master, slave = pty.openpty()
        self.resize(rows, columns)
        self.child = subprocess.Popen(["bash", "-c", "exec " + t.words(command)], stdin=slave,
                                      stdout=slave, stderr=slave, start_new_session=True,
                                      preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        os.write(self.master, text.encode())

    def until(self, pattern, seconds=60):
        """Reads until the pattern comes; what came before it is forgotten then."""
        end = time.monotonic() + seconds * PATIENCE
        while True:
            match = re.search(pattern, self.text)
            if match:
                self.text = self.text[match.end():]
                return match
            if not self.more(end - time.monotonic()):
                raise Failure("%r did not come on the terminal, only %r" % (pattern, self.text))

    def ask(self, command, pattern, seconds=60):
        """Types a command again and again until the pattern comes: a size may arrive late."""
        end = time.monotonic() + seconds * PATIENCE
        while True:
            self.type(command + "\n")
            try:
                return self.until(pattern, 3)
            except Failure:
                if time.monotonic() > end:
                    raise

    def more(self, left):
        if left <= 0 or not select.select([self.master], [], [], left)[0]:
            return False
        try:
            data = os.read(self.master, 4096)
        except OSError:
            data = b""
        self.text += data.decode(errors="replace")
        return bool(data)

    def status(self, seconds=60):
        end = time.monotonic() + seconds * PATIENCE
        while self.child.poll() is None and time.monotonic() < end:
            if select.select([self.master], [], [], 0.2)[0]:
                self.more(1)
        if self.child.poll() is None:
            os.killpg(self.child.pid, signal.SIGKILL)
            raise Failure("the command on the terminal did not end; it printed %r" % self.text)
        while self.more(0.1):
            pass
        return self.child.returncode
