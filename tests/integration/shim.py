"""containerd's side of the shim, without containerd: starts it, speaks ttrpc with it, takes its
events, and is the client at the other end of the fifos.

    with shim.Shim(c, box) as s:                 # containerd-shim-coracle-v2 ... start
        io = s.stdio(box)                        # fifos, read in the background
        pid = s.create(box, io)
        s.start(box)
        status = s.wait(box)
        s.delete(box)
"""
import os
import signal
import socket
import struct
import subprocess
import threading
import time

import harness as h

TASK = "containerd.task.v2.Task"
OK, UNKNOWN, INVALID, NOT_FOUND, EXISTS, EXHAUSTED, FAILED = 0, 2, 3, 5, 6, 8, 9
UNIMPLEMENTED, UNAVAILABLE = 12, 14
CREATED, RUNNING, STOPPED, PAUSED = 1, 2, 3, 4


# ---- protobuf --------------------------------------------------------------------------------

def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7f:
        out.append(value & 0x7f | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def enc(**fields):
    """enc(_1="id", _3=9, _4=[b"a", b"b"]): a message; numbers, text, bytes and lists of these."""
    out = b""
    for name, values in fields.items():
        number = int(name[1:])
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, (bool, int)):
                out += varint(number << 3) + varint(int(value))
            else:
                data = value.encode() if isinstance(value, str) else value
                out += varint(number << 3 | 2) + varint(len(data)) + data
    return out


def dec(data):
    """{number: [values]}; bytes for messages and strings."""
    out, at = {}, 0

    def take():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return value
    while at < len(data):
        key = take()
        kind = key & 7
        if kind == 0:
            value = take()
        else:
            size = take() if kind == 2 else 8 if kind == 1 else 4
            value = data[at:at + size]
            at += size
        out.setdefault(key >> 3, []).append(value)
    return out


def one(message, number, default=0):
    """The last value of a field of a decoded message."""
    return message.get(number, [default])[-1]


def text(message, number):
    return one(message, number, b"").decode()


def any_of(kind, value):
    return enc(_1=kind, _2=value)


# ---- ttrpc -----------------------------------------------------------------------------------

class Refused(Exception):
    def __init__(self, code, words):
        super().__init__("%d: %s" % (code, words))
        self.code, self.words = code, words


def read_exactly(sock, size):
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            raise EOFError("the connection has ended")
        data += part
    return data


def read_frame(sock):
    size, stream, kind, _ = struct.unpack(">IIBB", read_exactly(sock, 10))
    return stream, kind, read_exactly(sock, size)


def frame(stream, kind, payload, flags=0):
    return struct.pack(">IIBB", len(payload), stream, kind, flags) + payload


class Connection:
    """One connection to the shim; answers may come in any order."""

    def __init__(self, address):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(address.replace("unix://", ""))
        self.stream, self.answers = -1, {}

    def send(self, method, payload, service=TASK):
        self.stream += 2
        self.sock.sendall(frame(self.stream, 1, enc(_1=service, _2=method, _3=payload)))
        return self.stream

    def answer(self, stream):
        """The payload of an answer; raises Refused."""
        while stream not in self.answers:
            got, kind, data = read_frame(self.sock)
            h.eq(2, kind, "type of the frame")
            self.answers[got] = data
        message = dec(self.answers.pop(stream))
        status = dec(one(message, 1, b""))
        if one(status, 1):
            raise Refused(one(status, 1), text(status, 2))
        return dec(one(message, 2, b""))

    def call(self, method, payload=b"", service=TASK):
        return self.answer(self.send(method, payload, service))

    def refused(self, code, method, payload=b"", service=TASK):
        """The call must be refused with this code; the words."""
        try:
            self.call(method, payload, service)
        except Refused as refused:
            h.eq(code, refused.code, "code of %s (%s)" % (method, refused.words))
            return refused.words
        return h.fail("%s succeeded but should have been refused" % method)

    def close(self):
        self.sock.close()


class Events:
    """containerd's events service: keeps (topic, decoded event)."""

    def __init__(self, path, listen=True):
        self.path, self.list, self.times = path, [], []
        self.server, self.answering = None, threading.Lock()
        if listen:
            self.listen()

    def listen(self):
        self.server = socket.socket(socket.AF_UNIX)
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.server.bind(self.path)
        self.server.listen()
        self.clients = []
        threading.Thread(target=self._accept, args=(self.server,), daemon=True).start()

    def _accept(self, server):
        try:
            while True:
                client, _ = server.accept()
                self.clients.append(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()
        except OSError:
            pass  # closed

    def _serve(self, client):
        try:
            while True:
                stream, _, data = read_frame(client)
                envelope = dec(one(dec(one(dec(data), 3, b"")), 1, b""))
                any_message = dec(one(envelope, 4, b""))
                with self.answering:  # what is kept is answered: else it rightly comes again
                    client.sendall(frame(stream, 2, b""))
                    self.times.append(one(dec(one(envelope, 1, b"")), 1))
                    self.list.append((text(envelope, 3), text(envelope, 2), text(any_message, 1),
                                      dec(one(any_message, 2, b""))))
        except (OSError, EOFError):
            pass

    def close(self):
        """containerd goes away."""
        if self.server:
            self.server.shutdown(socket.SHUT_RDWR)
            self.server.close()
            with self.answering:
                for client in self.clients:
                    try:
                        client.shutdown(socket.SHUT_RDWR)
                    except OSError:
                        pass
                    client.close()
            os.unlink(self.path)
            self.server = None

    def topics(self):
        return [event[0].replace("/tasks/", "") for event in self.list]

    def wait(self, *topics, seconds=5):
        h.until(lambda: self.topics() == list(topics),
                lambda: "events %s (there are %s)" % (list(topics), self.topics()), seconds)


class Stdio:
    """The client's fifos; what comes is read in the background."""

    def __init__(self, folder, name, terminal=False, stdin=False, readers=True):
        self.paths, self.data, self.threads = {}, {"stdout": b"", "stderr": b""}, []
        self.terminal = terminal
        for stream in ("stdin", "stdout", "stderr"):
            if stream == "stdin" and not stdin or stream == "stderr" and terminal:
                self.paths[stream] = ""
                continue
            self.paths[stream] = os.path.join(folder, "%s-%s" % (name, stream))
            os.mkfifo(self.paths[stream], 0o700)
        for stream in ("stdout", "stderr"):
            if readers and self.paths[stream]:
                self.read(stream)

    def read(self, stream):
        fd = os.open(self.paths[stream], os.O_RDONLY | os.O_NONBLOCK)
        os.set_blocking(fd, True)
        keep = os.open(self.paths[stream], os.O_WRONLY)  # until the shim has its side open
        thread = threading.Thread(target=self._read, args=(stream, fd), daemon=True)
        thread.start()
        self.threads.append(thread)
        self.keepers = getattr(self, "keepers", []) + [keep]

    def _read(self, stream, fd):
        with os.fdopen(fd, "rb", buffering=0) as file:
            while True:
                part = file.read(65536)
                if not part:
                    return
                self.data[stream] += part

    def opened(self):
        """The shim has opened its side: from now on its end is the end."""
        for fd in getattr(self, "keepers", []):
            os.close(fd)
        self.keepers = []

    def join(self, seconds=5):
        """Waits for the end of the output; stdout as text."""
        self.opened()
        for thread in self.threads:
            thread.join(seconds)
            h.true(not thread.is_alive(), "the output has no end")
        return self.data["stdout"].decode(errors="replace")

    def open_stdin(self):
        return os.open(self.paths["stdin"], os.O_WRONLY)

    def fields(self):
        return {"_terminal": self.terminal, "_in": self.paths["stdin"],
                "_out": self.paths["stdout"], "_err": self.paths["stderr"]}


class Shim:
    def __init__(self, c, box, events=True, group=None, debug=False, flags=(), stdin=b"", env=None,
                 prefix=(), loud=False):
        """`prefix`: a command that starts the shim in other circumstances, ending in "$@"."""
        self.c, self.box, self.main, self.prefix = c, box, None, list(prefix)
        self.folder = c.path("shim")
        os.makedirs(self.folder, exist_ok=True)
        self.binary = os.path.join(self.folder, "containerd-shim-coracle-v2")
        if not os.path.exists(self.binary):
            os.symlink(os.path.abspath(h.runtime()[0]), self.binary)
        self.events = Events(os.path.join(self.folder, "e.ttrpc"), events)
        self.debug = debug
        if group:
            box.config.setdefault("annotations", {})["io.kubernetes.cri.sandbox-id"] = group
            box.write()
        self.loud = loud  # `start` may say something on stderr
        self.address = self.launch(box, flags, stdin, env)
        self.main = Connection(self.address)
        self.shim_pid = one(self.call("Connect", enc(_1=box.id)), 1)

    def invoke(self, box, action, stdin=b"", flags=(), env=None):
        """One call of the binary, as containerd does it; CompletedProcess."""
        log = os.path.join(box.path, "log")
        if not os.path.exists(log):
            os.mkfifo(log)
        argv = self.prefix + [self.binary, "-namespace", "test", "-address", self.folder + "/c.sock",
                "-publish-binary", "/bin/false", "-id", box.id, *flags, action]
        return subprocess.run(argv, input=stdin, cwd=box.path, capture_output=True, timeout=20,
                              env=dict(os.environ, TTRPC_ADDRESS=self.events.path,
                                       **(env or {})), check=False)

    def params(self, box, options=b"", level=0):
        """BootstrapParams with a folder for sockets of our own."""
        return enc(_1=box.id, _2="test", _3=level, _5=self.events.path, _6=self.folder + "/c.sock",
                   _8=[enc(_1=options)] if options else [], _9=self.folder)

    def launch(self, box, flags=(), stdin=b"", env=None):
        done = self.invoke(box, "start", stdin or self.params(box), flags, env)
        h.eq(0, done.returncode, "start: %r" % done.stderr)
        h.true(self.loud or not done.stderr, "stderr of start: %r" % done.stderr)
        answer = dec(done.stdout)
        h.eq(3, one(answer, 1), "version of the answer")
        h.eq("ttrpc", text(answer, 3))
        return text(answer, 2)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for pid in self.pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        for box in self.c.ids:
            root = os.path.join(self.c.path("shim-root"), "test")
            subprocess.run(h.runtime() + ["--root", root, "delete", "--force", box],
                           capture_output=True, check=False)
        self.events.close()

    def pids(self):
        """Every process that runs as this shim."""
        found = []
        for name in os.listdir("/proc"):
            try:
                with open("/proc/%s/cmdline" % name, "rb") as file:
                    if name.isdigit() and file.read().startswith(self.binary.encode() + b"\0"):
                        found.append(int(name))
            except OSError:
                continue
        return found

    # ---- calls ---------------------------------------------------------------------------------

    def call(self, method, payload=b"", service=TASK):
        return self.main.call(method, payload, service)

    def stdio(self, name="io", **keywords):
        return Stdio(self.folder, name, **keywords)

    def options(self, **fields):
        return any_of("containerd.runc.v1.Options", enc(_7=self.c.path("shim-root"), **fields))

    def create_payload(self, box, io=None, options=None, rootfs=(), paths=None):
        f = io.fields() if io else {"_terminal": False, "_in": "", "_out": "", "_err": ""}
        if paths:
            f.update(paths)
        return enc(_1=box.id, _2=box.path, _3=list(rootfs), _4=f["_terminal"], _5=f["_in"],
                   _6=f["_out"], _7=f["_err"], _10=options or self.options())

    def create(self, box, io=None, **keywords):
        pid = one(self.call("Create", self.create_payload(box, io, **keywords)), 1)
        if io:
            io.opened()
        return pid

    def start(self, box, exec_id=""):
        return one(self.call("Start", enc(_1=box.id, _2=exec_id)), 1)

    def run(self, box, io=None, **keywords):
        self.create(box, io, **keywords)
        return self.start(box)

    def state(self, box, exec_id=""):
        return self.call("State", enc(_1=box.id, _2=exec_id))

    def status(self, box, exec_id=""):
        return one(self.state(box, exec_id), 4)

    def wait(self, box, exec_id=""):
        return one(self.call("Wait", enc(_1=box.id, _2=exec_id)), 1)

    def kill(self, box, number=9, exec_id="", every=False):
        self.call("Kill", enc(_1=box.id, _2=exec_id, _3=number, _4=every))

    def delete(self, box, exec_id=""):
        return self.call("Delete", enc(_1=box.id, _2=exec_id))

    def exec(self, box, exec_id, args, io=None, **process):
        import json
        f = io.fields() if io else {"_terminal": False, "_in": "", "_out": "", "_err": ""}
        spec = dict(box.config["process"], args=list(args), terminal=f["_terminal"], **process)
        self.call("Exec", enc(
            _1=box.id, _2=exec_id, _3=f["_terminal"], _4=f["_in"], _5=f["_out"], _6=f["_err"],
            _7=any_of("types.containerd.io/opencontainers/runtime-spec/1/Process",
                      json.dumps(spec))))

    def exec_start(self, box, exec_id, args, io=None, **process):
        self.exec(box, exec_id, args, io, **process)
        pid = self.start(box, exec_id)
        if io:
            io.opened()
        return pid

    def shutdown(self):
        """Asks it to end, and waits until it has."""
        self.call("Shutdown", enc(_1=self.box.id))
        self.main.close()
        h.until(lambda: not self.pids(), "the end of the shim")

    def memory(self, what="Pss"):
        """(KiB of PSS, or of another sum of smaps_rollup, threads, open descriptors) of the shim."""
        with open("/proc/%d/smaps_rollup" % self.shim_pid, encoding="ascii") as file:
            pss = [int(line.split()[1]) for line in file if line.startswith(what + ":")][0]
        with open("/proc/%d/status" % self.shim_pid, encoding="ascii") as file:
            threads = [int(line.split()[1]) for line in file if line.startswith("Threads:")][0]
        return pss, threads, len(os.listdir("/proc/%d/fd" % self.shim_pid))


def settle(seconds=0.2):
    time.sleep(seconds)
