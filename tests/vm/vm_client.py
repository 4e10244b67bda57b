"""The client: one command in the guest, with its streams, signals and terminal."""
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

from vm_frames import NO_CODE, WINDOW, die, frame, frames


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
            data = self.sock.recv(1 << 16)
            if not data:
                return b'D', b'{"code": 125, "error": "the machine is gone"}'
            self.buf += data

    def boot(self):
        self.send(b'B')
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
