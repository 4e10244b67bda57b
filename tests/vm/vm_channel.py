"""The test VM's command channel: frames, and the client that sends a command and carries its streams."""
import json
import os
import selectors
import signal
import socket
import struct
import sys
import termios
import time
import tty


HEAD = struct.Struct('>cII')
WINDOW = 1 << 18                     # stdin bytes in flight to the guest
NO_CODE = 125                        # the machine failed, not the command


def die(msg, code=NO_CODE):
    sys.stderr.write(f'coracle-vm: {msg}\n')
    sys.exit(code)


def frame(kind, chan, data=b''):
    return HEAD.pack(kind, chan, len(data)) + data


def frames(buf):
    """The whole frames at the front of buf, taken out of it."""
    while len(buf) >= HEAD.size:
        kind, chan, size = HEAD.unpack_from(buf)
        if len(buf) < HEAD.size + size:
            return
        payload = bytes(buf[HEAD.size:HEAD.size + size])
        del buf[:HEAD.size + size]
        yield kind, chan, payload


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


def connect(state):
    sock = socket.socket(socket.AF_UNIX)
    back = os.open('.', os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.chdir(state)
        sock.connect('ctl')
    finally:
        os.fchdir(back)
        os.close(back)
    return sock


class Client:
    def __init__(self, state):
        self.sock = connect(state)
        self.buf = bytearray()

    def send(self, kind, data=b''):
        self.sock.sendall(frame(kind, 0, data))

    def wait_for(self, kinds):
        while True:
            for kind, _, data in frames(self.buf):
                if kind in kinds:
                    return kind, data
            try:
                data = self.sock.recv(1 << 16)
            except ConnectionResetError:  # its process ended with our words unread
                data = b''
            if not data:
                return b'D', b'{"code": 125, "error": "the machine is gone"}'
            self.buf += data

    def boot(self):
        try:
            self.send(b'B')
        except BrokenPipeError:
            die('the machine is gone')
        kind, data = self.wait_for((b'R', b'D'))
        if kind == b'D':
            die(json.loads(data).get('error'))
        return json.loads(data)

    def command(self, argv, use_tty=False, env=None, deadline=None):
        req = {'argv': argv, 'cwd': os.getcwd(), 'env': env or {}, 'term': os.environ.get('TERM')}
        old = None
        if use_tty:
            req['tty'] = True
            if os.isatty(0):
                req['size'] = os.get_terminal_size(0)[::-1]
                old = termios.tcgetattr(0)
                tty.setraw(0)
                signal.signal(signal.SIGWINCH, lambda *a: self.send(
                    b'W', struct.pack('>HH', *os.get_terminal_size(0)[::-1])))
        for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(sig, lambda s, f: self.send(b'K', struct.pack('>I', s)))
        self.send(b'X', json.dumps(req).encode())
        try:
            return self.pump(deadline)
        finally:
            if old:
                termios.tcsetattr(0, termios.TCSADRAIN, old)

    def pump(self, deadline):
        sel = selectors.DefaultSelector()
        sel.register(self.sock, selectors.EVENT_READ)
        credit, reading = WINDOW, False

        def read_stdin(on):
            nonlocal reading
            if on != reading:
                try:
                    (sel.register(0, selectors.EVENT_READ) if on else sel.unregister(0))
                except PermissionError:            # a regular file: always readable
                    pass
                reading = on
        plain = not stdin_polls()
        open_in = True
        if not plain:
            read_stdin(True)
        while True:
            feeding = open_in and credit > 0
            if not plain:
                read_stdin(feeding)
            wait = 0 if plain and feeding else None
            if deadline is not None:
                left = deadline - time.monotonic()
                if left <= 0:
                    sys.stderr.write('coracle-vm: time is up\n')
                    return 124
                wait = left if wait is None else wait
            events = {key.fd for key, _ in sel.select(wait)}
            if self.sock.fileno() in events:
                data = self.sock.recv(1 << 18)
                if not data:
                    return NO_CODE
                self.buf += data
                for kind, _, data in frames(self.buf):
                    if kind == b'O':
                        write_all(1, data)
                    elif kind == b'T':
                        write_all(2, data)
                    elif kind == b'A':
                        credit += struct.unpack('>I', data)[0]
                    elif kind == b'D':
                        done = json.loads(data)
                        if done.get('error'):
                            sys.stderr.write(f'coracle-vm: {done["error"]}\n')
                        return done['code']
            if feeding and (plain or 0 in events):
                try:
                    data = os.read(0, min(credit, 65536))
                except OSError:
                    data = b''
                if data:
                    credit -= len(data)
                    self.send(b'I', data)
                else:
                    open_in = False
                    self.send(b'E')


def stdin_polls():
    import stat
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or os.path.samestat(os.fstat(0), os.stat('/dev/null')))


def write_all(fd, data):
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view):]
        except BlockingIOError:
            time.sleep(0.01)
        except BrokenPipeError:
            return
