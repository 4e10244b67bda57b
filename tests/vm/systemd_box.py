"""What the tests of the systemd driver share: TAP, containers, and questions to systemd."""
import contextlib
import ctypes
import json
import os
import shutil
import subprocess
import sys
import time
import traceback

CORACLE = "/usr/local/bin/coracle"  # where engines and ordinary users can execute it
ROOTFS = os.environ.get("ROOTFS", "/usr/local/share/coracle-vm/rootfs")
IMAGE = "localhost/busybox"
PLACE = "/run/test-systemd"
CGROUPS = "/sys/fs/cgroup"
MIB = 1 << 20
TESTS = []


class Failure(Exception):
    pass


class Skip(Exception):
    pass


def test(name):
    def register(function):
        TESTS.append((name, function))
        return function
    return register


def need(condition, words):
    if not condition:
        raise Failure(words)


def equal(wanted, got, what=""):
    need(wanted == got, "%s: wanted %r, got %r" % (what, wanted, got))


def until(condition, what, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        need(time.monotonic() < end, "%s did not happen in %d s" % (what, seconds))
        time.sleep(0.1)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read().strip()


class Result:
    def __init__(self, words, status, out, err):
        self.words, self.status, self.out, self.err = words, status, out, err
        self.text = out + err

    def ok(self):
        return self.status_is(0)

    def status_is(self, wanted):
        need(self.status == wanted, "$ %s\nstatus %s\n%s" %
             (" ".join(self.words), self.status, self.text))
        return self

    def fails(self, *parts):
        need(self.status != 0, "$ %s\nshould fail\n%s" % (" ".join(self.words), self.text))
        for part in parts:
            need(part in self.text, "%r is not in: %s" % (part, self.text))
        return self


def run(*words, env=None, timeout=600, stdin=None):
    """Output goes to files: a container that stays would keep pipes open."""
    os.makedirs(PLACE, exist_ok=True)
    out_path, err_path = PLACE + "/out", PLACE + "/err"
    with open(out_path, "w") as out, open(err_path, "w") as err:
        child = subprocess.Popen(words, stdin=stdin or subprocess.DEVNULL, stdout=out, stderr=err,
                                 env=dict(os.environ, **(env or {})))
        try:
            status = child.wait(timeout)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            raise Failure("$ %s\nno end after %d s" % (" ".join(words), timeout))
    with open(out_path, errors="replace") as out, open(err_path, errors="replace") as err:
        return Result(words, status, out.read(), err.read())


class Box:
    """A container with a bundle of its own."""
    count = 0

    def __init__(self, args=("sleep", "1000"), path=None, **resources):
        Box.count += 1
        self.id = "box%d-%d" % (os.getpid(), Box.count)
        self.bundle = "%s/%s" % (PLACE, self.id)
        os.makedirs(self.bundle)
        run(CORACLE, "spec", "--bundle", self.bundle).ok()
        with open(self.bundle + "/config.json") as file:
            self.config = json.load(file)
        self.config["process"]["terminal"] = False
        self.config["process"]["args"] = list(args)
        self.config["root"] = {"path": ROOTFS, "readonly": True}
        self.linux = self.config["linux"]
        self.linux["cgroupsPath"] = "machine.slice:test:" + self.id if path is None else path
        self.linux["resources"] = resources
        self.unit = "test-%s.scope" % self.id
        self.cgroup = "%s/machine.slice/%s" % (CGROUPS, self.unit)
        ALL.append(self)

    def write(self):
        with open(self.bundle + "/config.json", "w") as file:
            json.dump(self.config, file)

    def make(self, verb="create", *options, env=None, timeout=600):
        self.write()
        return run(CORACLE, "--systemd-cgroup", verb, "--bundle", self.bundle, *options, self.id,
                   env=env, timeout=timeout)

    def up(self):
        self.make().ok()
        self.do("start").ok()
        return self

    def do(self, verb, *more, env=None, timeout=600):
        """Later commands have no flag: the record knows."""
        return run(CORACLE, verb, *more, self.id, env=env, timeout=timeout)

    def exec(self, *words):
        return run(CORACLE, "exec", self.id, *words)

    def state(self):
        return json.loads(self.do("state").ok().out)

    def delete(self, *options):
        self.do("delete", *(options or ("--force",))).ok()
        self.gone()

    def gone(self):
        need(not os.path.exists(self.cgroup), "%s is still there" % self.cgroup)
        until(lambda: not loaded(self.unit), "the end of " + self.unit)
        need(not os.path.exists("/run/coracle/" + self.id), "the record is still there")

    def file(self, name):
        return read("%s/%s" % (self.cgroup, name))


ALL = []


def loaded(unit):
    # A slice of any name is loaded as soon as somebody asks for it.
    name = "ActiveState" if unit.endswith(".slice") else "LoadState"
    return show(unit, name) in ("loaded", "active")


def show(unit, name, *options):
    words = ["systemctl", *options, "show", "-p", name, "--value", unit]
    return subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def programs(cgroup):
    """How many device programs are attached to the cgroup itself (bpf(2), BPF_PROG_QUERY)."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd = os.open(cgroup, os.O_RDONLY)
    try:
        ids = (ctypes.c_uint32 * 64)()
        query = ctypes.create_string_buffer(128)
        ctypes.memmove(query, ctypes.string_at(
            (ctypes.c_uint32 * 4)(fd, 6, 0, 0), 16), 16)  # target, BPF_CGROUP_DEVICE
        ctypes.memmove(ctypes.addressof(query) + 16,
                       ctypes.byref(ctypes.c_uint64(ctypes.addressof(ids))), 8)
        ctypes.memmove(ctypes.addressof(query) + 24, ctypes.byref(ctypes.c_uint32(64)), 4)
        if libc.syscall(321, 16, query, 128) < 0:
            raise Failure("BPF_PROG_QUERY: errno %d" % ctypes.get_errno())
        return int.from_bytes(query.raw[24:28], sys.byteorder)
    finally:
        os.close(fd)


def try_one(function):
    """The line's end, and words for below it."""
    try:
        function()
        return "ok", "", ""
    except Skip as reason:
        return "ok", " # SKIP %s" % reason, ""
    except Failure as failure:
        return "not ok", "", str(failure)
    except Exception:
        return "not ok", "", traceback.format_exc()
    finally:
        while ALL:
            box = ALL.pop()
            with contextlib.suppress(Failure):
                run(CORACLE, "delete", "--force", box.id)
            shutil.rmtree(box.bundle, ignore_errors=True)
