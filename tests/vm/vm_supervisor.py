"""The supervisor: owns a machine, carries frames between its clients and the guest."""
import json
import os
import selectors
import signal
import socket
import time

from vm_frames import BOOT_LIMIT, NO_CODE, frame, frames
from vm_machine import Machine


class Link:
    def __init__(self, sel, sock, on_frame, on_close):
        self.sel, self.sock, self.on_frame, self.on_close = sel, sock, on_frame, on_close
        self.inbuf, self.out = bytearray(), bytearray()
        sock.setblocking(False)
        sel.register(sock, selectors.EVENT_READ, self)

    def send(self, data):
        self.out += data
        self.flush()

    def flush(self):
        try:
            while self.out:
                n = self.sock.send(self.out[:1 << 18])
                del self.out[:n]
        except BlockingIOError:
            pass
        except OSError:
            self.out.clear()
        if self.sock.fileno() >= 0:
            self.sel.modify(self.sock, selectors.EVENT_READ | (selectors.EVENT_WRITE if self.out else 0), self)

    def close(self):
        if self.sock.fileno() >= 0:
            self.sel.unregister(self.sock)
            self.sock.close()

    def event(self, mask):
        if mask & selectors.EVENT_WRITE:
            self.flush()
        if mask & selectors.EVENT_READ:
            try:
                data = self.sock.recv(1 << 18)
            except BlockingIOError:
                return
            except OSError:
                data = b''
            if not data:
                self.close()
                self.on_close(self)
                return
            self.inbuf += data
            for f in frames(self.inbuf):
                self.on_frame(self, *f)


class Supervisor:
    def __init__(self, state, opts, listener, alive):
        self.machine = Machine(state, opts)
        self.sel = selectors.DefaultSelector()
        self.ready = None
        self.held = []
        self.clients = {}
        self.next = 1
        self.stopping = False
        self.failure = 'the machine did not come up'
        self.guest = Link(self.sel, self.machine.chan, self.from_guest, lambda link: self.gone())
        self.listener = listener
        listener.setblocking(False)
        self.sel.register(listener, selectors.EVENT_READ, self)
        if self.machine.restored:
            self.guest.send(frame(b'H', 0, self.machine.hello()))
        if alive is not None:        # its end of file means that the owner is gone
            self.sel.register(alive, selectors.EVENT_READ, 'owner')

    def event(self, mask):
        sock, _ = self.listener.accept()
        link = Link(self.sel, sock, self.from_client, self.client_gone)
        link.num = self.next
        self.next += 1
        self.clients[link.num] = link

    def from_client(self, link, kind, _, data):
        if kind == b'B':             # wait for the boot
            if self.ready is None:
                self.held.append(link)
            else:
                link.send(frame(b'R', 0, self.ready))
        elif kind == b'Q':
            self.stopping = True
        elif kind == b'V':
            self.machine.save()
            link.send(frame(b'V', 0))
            self.stopping = True
        elif self.ready is None:
            self.held.append(frame(kind, link.num, data))
        else:
            self.guest.send(frame(kind, link.num, data))

    def client_gone(self, link):
        self.clients.pop(link.num, None)
        if self.ready is not None:
            self.guest.send(frame(b'C', link.num))

    def from_guest(self, link, kind, num, data):
        if kind == b'R':
            self.guest.send(frame(b'H', 0, self.machine.hello()))
        elif kind == b'H':
            info = json.loads(data)
            if info.get('error'):
                self.failure = info['error']
                self.stopping = True
                return
            info['boot'] = round(time.monotonic() - self.machine.started, 2)
            self.ready = json.dumps(info).encode()
            for item in self.held:
                if isinstance(item, Link):
                    item.send(frame(b'R', 0, self.ready))
                else:
                    self.guest.send(item)
            self.held = []
        elif num in self.clients:
            self.clients[num].send(frame(kind, num, data))

    def gone(self):
        self.stopping = True

    def loop(self):
        signal.signal(signal.SIGTERM, lambda *a: setattr(self, 'stopping', True))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        limit = self.machine.started + BOOT_LIMIT
        while not self.stopping:
            wait = 1.0
            for key, mask in self.sel.select(wait):
                if key.data == 'owner':
                    if not os.read(key.fd, 1):
                        self.stopping = True
                elif key.fileobj.fileno() >= 0:
                    key.data.event(mask)
            if self.ready is None and time.monotonic() > limit:
                break
        self.machine.stop()
        text = '' if self.ready is not None else self.failure + '\n' + self.machine.logs()
        for link in self.clients.values():
            link.sock.setblocking(True)
            try:
                link.sock.sendall(bytes(link.out) + frame(b'D', link.num, json.dumps(
                    {'code': NO_CODE, 'error': text or 'the machine is gone'}).encode()))
            except OSError:
                pass


def supervise(state, opts, alive=None):
    listener = socket.socket(socket.AF_UNIX)
    # A socket's path has at most 107 characters: bind by a short relative one.
    os.chdir(state)
    listener.bind('ctl')
    listener.listen(64)
    return lambda: Supervisor(state, opts, listener, alive).loop()
