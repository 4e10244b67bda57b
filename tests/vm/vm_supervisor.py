"""The process that owns a machine and carries frames between its clients and the guest; how a machine
image is made with it."""
import argparse
import fcntl
import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from vm_channel import NO_CODE, Client, Link, die, frame
from vm_machine import WARM_UP, Machine, accel, guest_dir, template_of

BOOT_LIMIT = float(os.environ.get('CORACLE_VM_BOOT_LIMIT', '180'))


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


def supervise_child(state, opts, alive_r, alive_w, lock=None):
    up_r, up_w = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(up_r)
            if alive_w is not None:
                os.close(alive_w)
            os.setsid()
            if lock is not None:           # stays up in the background
                lock.close()
                null = os.open('/dev/null', os.O_RDWR)
                log = os.open(f'{state}/supervisor.log', os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
                os.dup2(null, 0)
                os.dup2(log, 1)
                os.dup2(log, 2)
            loop = supervise(state, opts, alive_r)
            os.write(up_w, b'1')
            os.close(up_w)
            loop()
            if alive_r is not None:        # the owner may have been killed
                os.chdir('/')
                shutil.rmtree(state, ignore_errors=True)
            os._exit(0)
        except SystemExit as e:
            os._exit(e.code if isinstance(e.code, int) else 1)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
    os.close(up_w)
    if alive_r is not None:
        os.close(alive_r)
    os.read(up_r, 1)
    os.close(up_r)
    return pid


def make_template(guest, opts, path):
    """Boots once, warms the engines up, and keeps memory, devices and disk."""
    with open(f'{guest}/machine.lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(f'{path}/state'):
            return
        new = tempfile.mkdtemp(dir=guest, prefix='new.')
        began = time.monotonic()
        try:
            subprocess.run(['qemu-img', 'create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', f'{guest}/disk.img',
                            f'{new}/disk'], check=True)
            alive_r, alive_w = os.pipe()
            state = tempfile.mkdtemp(prefix='coracle-vm.')
            try:
                pid = supervise_child(state, argparse.Namespace(**{**vars(opts), 'dir': [], 'record': new}),
                                      alive_r, alive_w)
                client = Client(state)
                info = client.boot()
                client.send(b'X', json.dumps({'argv': ['sh', '-c', WARM_UP]}).encode())
                log = b''
                while True:
                    kind, data = client.wait_for((b'O', b'T', b'D'))
                    if kind == b'D':
                        break
                    log += data
                if json.loads(data)['code']:
                    die('the warm-up failed:\n' + log.decode(errors='replace'))
                client.send(b'V')
                kind, data = client.wait_for((b'V', b'D'))
                if kind == b'D':
                    die('the machine image: ' + json.loads(data).get('error', ''))
            finally:
                os.close(alive_w)
                os.waitpid(pid, 0)
                shutil.rmtree(state, ignore_errors=True)
            os.rename(new, path)
            new = None
            used = subprocess.run(['du', '-sh', path], stdout=subprocess.PIPE, text=True).stdout.split()[0]
            sys.stderr.write(f'coracle-vm: machine image ready in {time.monotonic() - began:.0f} s '
                             f'(boot {info["boot"]} s), {used}\n')
        finally:
            if new:
                shutil.rmtree(new, ignore_errors=True)


def prepare(opts):
    guest = guest_dir()
    path = template_of(guest, opts, accel(guest))
    if path and not os.path.exists(f'{path}/state'):
        make_template(guest, opts, path)
