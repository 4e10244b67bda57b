"""What one test works with: bundles, and the five operations of the runtime's command line as
containerd, CRI-O, Podman and runtime-tools call them, without any global option:

    create --bundle PATH [--pid-file FILE] [--console-socket PATH] ID
    start ID    state ID    kill ID SIGNAL    delete [--force] ID
"""
import itertools
import json
import os
import signal
import socket
import subprocess
import tempfile
import time

import corner
from bundle import Bundle
from rules import fail, true

LIMIT = float(os.environ.get("OCI_CONFORMANCE_TIMEOUT", "15"))  # s for one command


_numbers = itertools.count()


def runtime():
    return os.environ["RUNTIME"].split()


class Result:
    def __init__(self, argv, status, out, err):
        self.argv, self.status, self.out, self.err = argv, status, out, err

    def words(self):
        return "%s\nstatus %s\nstdout %r\nstderr %r" % (
            " ".join(self.argv), self.status, self.out[-1000:], self.err[-1000:])

    def ok(self):
        if self.status != 0:
            fail("failed: " + self.words())
        return self

    def error(self):
        """It must have failed, by itself and not by a signal."""
        if self.status == 0:
            fail("succeeded, but an error is wanted: " + self.words())
        if self.status < 0 or self.status in (134, 139):
            fail("crashed: " + self.words())
        return self


def until(condition, what, seconds=5.0):
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            fail("%s did not happen within %g s" % (what, seconds))
        time.sleep(0.005)


class Case:
    def __init__(self, scratch):
        self.scratch, self.boxes, self.statuses = scratch, [], {}

    def path(self, *parts):
        return os.path.join(self.scratch, *parts)

    def write(self, name, text, mode=0o644):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    # ---- bundles ---------------------------------------------------------------------------

    def bundle(self, *args, **process):
        """A bundle that runs args, or one that does nothing for long; keywords go to process."""
        name = "conf-%d-%d" % (os.getpid(), next(_numbers))
        box = Bundle(self.path(name), name, args or ("sleep", "1000"))
        box.config["process"].update(process)
        self.boxes.append(box)
        return box

    def shell(self, script, **process):
        return self.bundle("sh", "-c", script, **process)

    # ---- the operations --------------------------------------------------------------------

    def command(self, argv, **popen):
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            popen.setdefault("stdout", out)
            child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=err, **popen)
            try:
                child.wait(LIMIT)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
                fail("no end within %g s: %s" % (LIMIT, " ".join(argv)))
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode(errors="replace"))
        return Result(argv, child.returncode, *texts)

    def rt(self, *args, **popen):
        return self.command(runtime() + [str(a) for a in args], **popen)

    def create(self, box, *options, write=True, **popen):
        if write:
            box.write()
        with open(box.log, "ab") as log:
            done = self.rt("create", "--bundle", box.path, "--pid-file", box.path + "/pid",
                           *options, box.id, stdout=log, **popen)
        try:
            with open(box.path + "/pid", encoding="ascii") as file:
                box.pid = int(file.read())
        except (OSError, ValueError):
            box.pid = None
        if done.status == 0 and box.pid is None:
            fail("create succeeded without writing the pid file: " + done.words())
        return done

    def start(self, box):
        return self.rt("start", box.id)

    def kill(self, box, name):
        return self.rt("kill", box.id, name)

    def delete(self, box, *options):
        return self.rt("delete", *options, box.id)

    def query(self, name):
        return self.rt("state", name)

    def state(self, box):
        done = self.query(box.id).ok()
        try:
            return json.loads(done.out)
        except ValueError:
            fail("state printed no JSON: " + done.words())

    def status(self, box):
        return self.state(box)["status"]

    def unknown(self, box):
        """There must be no such container."""
        done = self.query(box.id)
        if done.status == 0:
            fail("the container still exists: " + done.words())

    # ---- several steps ---------------------------------------------------------------------

    def up(self, box, *options, **popen):
        """create and start, both must succeed."""
        self.create(box, *options, **popen).ok()
        self.start(box).ok()
        return box

    def wait(self, box, seconds=5.0):
        """Until its process has ended (we are its parent); returns its status or -signal."""
        end = time.monotonic() + seconds
        while box.pid not in self.statuses:
            try:
                pid, status = os.waitpid(box.pid, os.WNOHANG)
            except ChildProcessError:
                self.statuses[box.pid] = None  # somebody else's child: it is gone at least
                break
            if pid:
                self.statuses[pid] = os.waitstatus_to_exitcode(status)
            elif time.monotonic() > end:
                fail("the container's process does not end: " + box.output())
            else:
                time.sleep(0.002)
        return self.statuses[box.pid]

    def stop(self, box):
        """kill, and wait until it is stopped."""
        self.kill(box, "KILL").ok()
        self.wait(box)
        until(lambda: self.status(box) == "stopped", "the status stopped")

    def result(self, box):
        """Runs it to its end; returns what it printed."""
        self.up(box)
        self.wait(box)
        return box.output()

    def prints(self, script, edit=None, **process):
        """What a shell script prints in a container changed by edit(box)."""
        box = self.shell(script, **process)
        if edit:
            edit(box)
        return self.result(box)

    def refused(self, edit, **process):
        """create, or at the latest start, must fail; nothing may be left."""
        box = self.bundle("true", **process)
        edit(box)
        done = self.create(box)
        if done.status == 0:
            self.start(box).error()
            self.delete(box, "--force")
            return box
        done.error()
        self.unknown(box)
        return box

    def terminal(self, box, *, edit=None):
        """create with a console socket; returns the master."""
        path = self.path("console-" + box.id)
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        server.bind(path)
        server.listen(1)
        server.settimeout(LIMIT)
        self.create(box, "--console-socket", path).ok()
        peer, _ = server.accept()
        _, fds, _, _ = socket.recv_fds(peer, 4096, 4)
        peer.close()
        server.close()
        true(len(fds) == 1, "%d descriptors came over the console socket" % len(fds))
        return fds[0]

    def finish(self):
        """Removes what the test made."""
        # The last one first: it may live in a namespace of one before it, whose end waits for it.
        for box in reversed(self.boxes):
            if os.path.exists(box.path + "/config.json"):
                self.rt("delete", "--force", box.id)
            corner.reap()


def read_all(master, seconds=5.0):
    """A terminal's output to its end."""
    import select
    text, end = b"", time.monotonic() + seconds
    while time.monotonic() < end and select.select([master], [], [], end - time.monotonic())[0]:
        try:
            data = os.read(master, 4096)
        except OSError:  # EIO: the other side is closed
            break
        if not data:
            break
        text += data
    return text.decode(errors="replace").replace("\r\n", "\n")


def mount_lines(text):
    """mountinfo as {mount point: (options, optional fields, type, super options)}; last wins."""
    out = {}
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        fields, behind = left.split(), right.split()
        if len(fields) >= 6 and len(behind) >= 2:
            out[fields[4]] = (fields[5].split(","), fields[6:], behind[0],
                              behind[-1].split(",") if len(behind) > 2 else [])
    return out


def number_of(name):
    return int(getattr(signal, "SIG" + name))
