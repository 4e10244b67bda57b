"""The receiving end of --console-socket, and a pseudo terminal to call the runtime from."""
import array
import os
import select
import socket
import time


class ConsoleSocket:
    """Listens at `path`; accept() returns (master fd, name that came with it)."""

    def __init__(self, path, timeout=10):
        self.path = path
        self.server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        folder = os.open(os.path.dirname(path), os.O_PATH)
        # A path over 107 bytes does not fit sockaddr_un; over the folder's descriptor it does.
        self.server.bind("/proc/self/fd/%d/%s" % (folder, os.path.basename(path)))
        os.close(folder)
        self.server.listen(4)
        self.server.settimeout(timeout)

    def accept(self):
        peer, _ = self.server.accept()
        with peer:
            peer.settimeout(10)
            text, ancillary, _, _ = peer.recvmsg(4096, socket.CMSG_SPACE(16))
        fds = array.array("i")
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds.frombytes(data[:len(data) // 4 * 4])
        if len(fds) != 1:
            raise AssertionError("%d descriptors came with %r" % (len(fds), text))
        return fds[0], text.decode(errors="replace")

    def forget(self):
        """Drops connections that nobody will use."""
        while select.select([self.server], [], [], 0)[0]:
            self.server.accept()[0].close()

    def close(self):
        self.server.close()


def read_until(master, wanted, seconds=10):
    """Reads from a terminal until `wanted` appears; returns all text, with \\r\\n as \\n."""
    text, end = "", time.monotonic() + seconds
    while wanted is None or wanted not in text:
        left = end - time.monotonic()
        if left <= 0 or not select.select([master], [], [], left)[0]:
            raise AssertionError("%r did not come, only %r" % (wanted, text))
        try:
            data = os.read(master, 4096)
        except OSError:  # EIO: the other side is closed
            data = b""
        if not data:
            if wanted is None:
                return text
            raise AssertionError("%r did not come before the end, only %r" % (wanted, text))
        text = (text + data.decode(errors="replace")).replace("\r\n", "\n")
    return text
