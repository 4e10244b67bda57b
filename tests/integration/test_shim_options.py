#!/usr/bin/env python3
"""The containerd shim's options: runc.v1.Options and the TOML of CRI; each by what it does."""
import os
import subprocess

import harness as h
import shim
from bundle import user_namespace
from shim import enc, one, text

RUNC = "containerd.runc.v1.Options"


def generic(body):
    """What containerd makes of its configuration for a runtime type that it does not know."""
    return shim.any_of("runtimeoptions.v1.Options", enc(_1="x", _3=body))


def log_of(box):
    """Everything in containerd's log fifo so far; the reader has to be there first."""
    return os.open(os.path.join(box.path, "log"), os.O_RDONLY | os.O_NONBLOCK)


def traced(pid):
    with open("/proc/%d/status" % pid, encoding="ascii") as file:
        return "TracerPid:\t0\n" not in file.read()


def words(log):
    try:
        return os.read(log, 65536).decode()
    except BlockingIOError:
        return ""
    finally:
        os.close(log)


@h.test("shim options: Root is where the state is, the namespace below it")
def _(c):
    box = c.sleeper()
    with shim.Shim(c, box) as s:
        for options in (shim.any_of(RUNC, enc(_7=c.path("root-a"))),
                        shim.any_of("type.googleapis.com/" + RUNC, enc(_7=c.path("root-a"))),
                        generic("Root = '%s'\n" % c.path("root-a"))):
            s.create(box, options=options)
            h.true(os.path.isdir(c.path("root-a", "test", box.id)), "no state there")
            s.delete(box)
            h.true(not os.path.exists(c.path("root-a", "test", box.id)), "the state is left")


@h.test("shim options: NoNewKeyring keeps the shim's keyring")
def _(c):
    boxes = [c.bundle(["probe", "keyring"]) for _ in range(4)]  # a keyring is named by the id
    with shim.Shim(c, boxes[0]) as s:
        seen = []
        for number, box in enumerate(boxes):
            io = s.stdio("k%d" % number)
            s.run(box, io, options=s.options(**({"_2": 1} if number > 1 else {})))
            h.eq(0, s.wait(box))
            seen.append(io.join())
            s.delete(box)
        h.match(r"^\d+$", seen[0])
        h.true(seen[0] != seen[1], "two containers share a keyring")
        h.eq(seen[2], seen[3])
        h.true(seen[2] not in seen[:2], "the keyring of a container before it")


@h.test("shim options: NoPivotRoot runs without pivot_root(2)", needs=("strace",))
def _(c):
    for options, count in (({}, 1), ({"_1": 1}, 0)):
        box = c.bundle(["true"])
        with shim.Shim(c, box) as s:
            trace = c.path("trace-%d" % count)
            tracer = subprocess.Popen(["strace", "-f", "-qq", "-e", "trace=pivot_root", "-o", trace,
                                       "-p", str(s.shim_pid)])
            h.until(lambda: traced(s.shim_pid), "strace to attach")  # pylint: disable=W0640
            s.run(box, options=s.options(**options))
            h.eq(0, s.wait(box))
            s.delete(box)
            tracer.terminate()
            tracer.wait()
            with open(trace, encoding="ascii") as file:
                h.eq(count, file.read().count("pivot_root("))
            s.shutdown()


@h.test("shim options: IoUid and IoGid own the streams, of execs too")
def _(c):
    box = c.sleeper()
    with shim.Shim(c, box) as s:
        io = s.stdio(stdin=True)
        s.run(box, io, options=s.options(_4=4321, _5=1234))
        for stream in ("stdin", "stdout", "stderr"):
            info = os.stat(io.paths[stream])
            h.eq((4321, 1234), (info.st_uid, info.st_gid), stream)
        out = s.stdio("e1")
        s.exec_start(box, "e1", ["stat", "-L", "-c", "%u:%g", "/proc/self/fd/1"], out)
        h.eq(0, s.wait(box, "e1"))
        h.eq("4321:1234\n", out.join())


@h.test("shim: in a user namespace root and others may open their streams again")
def _(c):
    box = c.sleeper(user_namespace)
    box.give(100000)
    with shim.Shim(c, box) as s:
        io = s.stdio()
        s.run(box, io)
        h.eq(100000, os.stat(io.paths["stdout"]).st_uid)
        for uid in (0, 1000):
            out = s.stdio("e%d" % uid)
            s.exec_start(box, "e%d" % uid, ["sh", "-c", "echo again >/proc/self/fd/1"], out,
                         user={"uid": uid, "gid": uid})
            h.eq((0, "again\n"), (s.wait(box, "e%d" % uid), out.join()), "uid %d" % uid)
        other = c.bundle(["sh", "-c", "echo again >/proc/self/fd/1"], user_namespace,
                         user={"uid": 1000, "gid": 1000})
        other.give(100000)
        out = s.stdio("other")
        s.run(other, out)
        h.eq((0, "again\n"), (s.wait(other), out.join()))
        s.delete(other)


@h.test("shim options: ShimCgroup is the shim's, in both ways that containerd tells it")
def _(c):
    os.mkdir("/sys/fs/cgroup/shims")
    for number, way in enumerate(("any", "bootstrap")):
        box = c.bundle(["true"])
        options = shim.any_of(RUNC, enc(_3="/shims"))
        with shim.Shim(c, box, group="pod-%d" % number) as s:
            box.config["annotations"] = {}  # another shim than the first one
            box.write()
            done = s.invoke(box, "start", s.params(box, options) if way == "bootstrap" else options)
            h.eq((0, b""), (done.returncode, done.stderr))
            with open("/sys/fs/cgroup/shims/cgroup.procs", encoding="ascii") as file:
                h.eq(sorted(set(s.pids()) - {s.shim_pid}), [int(line) for line in file], way)
            address = text(shim.dec(done.stdout), 2) if way == "bootstrap" else done.stdout.decode()
            connection = shim.Connection(address)
            connection.call("Shutdown")
            connection.close()
            h.until(lambda: len(s.pids()) == 1, "the end of the shim")
    os.rmdir("/sys/fs/cgroup/shims")


@h.test("shim options: a ShimCgroup that is not there fails the start, and leaves no shim")
def _(c):
    box = c.bundle(["true"])
    with shim.Shim(c, box, group="pod") as s:
        box.config["annotations"] = {}
        box.write()
        done = s.invoke(box, "start", s.params(box, shim.any_of(RUNC, enc(_3="/nowhere"))))
        h.eq(1, done.returncode)
        h.has(b"runtime option ShimCgroup: /sys/fs/cgroup/nowhere", done.stderr)
        h.until(lambda: s.pids() == [s.shim_pid], "the end of what was forked")


@h.test("shim options: what is ignored is in the log, in containerd's format")
def _(c):
    box = c.bundle(["true"])
    with shim.Shim(c, box) as s:
        log = log_of(box)
        body = 'BinaryName = "/usr/bin/runc"\nCriuPath = "/x"\nSystemdCgroup = false\nNew = 1\n'
        s.create(box, options=generic(body + "Root = '%s'" % c.path("shim-root")))
        said = words(log)
        for wanted in ('BinaryName', 'CriuPath', 'New'):
            h.match(r'^time="20\d\d-[^"]+" level=warning msg=".*%s.*"$' % wanted, said)
        h.lacks("SystemdCgroup", said)
        s.delete(box)
        log = log_of(box)
        s.create(box, options=shim.any_of("my.Options", b""))
        h.has("my.Options", words(log))
        subprocess.run(h.runtime() + ["--root", "/run/containerd/coracle/test", "delete", "-f",
                                      box.id], check=False, capture_output=True)


@h.test("shim options: SystemdCgroup asks systemd, and says so where there is none")
def _(c):
    box = c.bundle(["true"])
    if os.path.exists("/run/systemd/private"):
        h.skip("systemd is here")
    with shim.Shim(c, box) as s:
        said = s.main.refused(shim.UNKNOWN, "Create", s.create_payload(
            box, options=s.options(_9=1)))
        h.has("systemd", said)


@h.test("shim options: malformed ones are an error of that call")
def _(c):
    box = c.bundle(["true"])
    with shim.Shim(c, box) as s:
        for options in (shim.any_of(RUNC, b"\x08"),
                        shim.any_of("runtimeoptions.v1.Options", b"\x1a\x05x")):
            s.main.refused(shim.INVALID, "Create", s.create_payload(box, options=options))
        s.create(box)
        s.delete(box)


@h.test("shim -info: the options it was asked with, and the features document")
def _(c):
    box = c.bundle(["true"])
    with shim.Shim(c, box) as s:
        options = shim.any_of(RUNC, enc(_9=1))
        done = subprocess.run([s.binary, "-info"], capture_output=True, check=True, input=options)
        info = shim.dec(done.stdout)
        h.eq("io.containerd.coracle.v2", text(info, 1))
        h.true(text(shim.dec(one(info, 2)), 1), "no version")
        h.eq(options, one(info, 3))
        h.eq("types.containerd.io/opencontainers/runtime-spec/1/features/Features",
             text(shim.dec(one(info, 4)), 1))


if __name__ == "__main__":
    h.main()
