#!/usr/bin/env python3
"""The containerd shim when things go away: it itself, containerd, clients; and its pods."""
import concurrent.futures
import os
import signal
import subprocess
import time

import harness as h
import isolation
import shim
from shim import enc, one, text


def parts(done):
    """pid and status of what `delete` printed."""
    h.eq(0, done.returncode, "delete: %r" % done.stderr)
    answer = shim.dec(done.stdout)
    h.true(one(shim.dec(one(answer, 3)), 1) > 1700000000, "no time of exit")
    return one(answer, 1), one(answer, 2)


def crash(s):
    """kill -9 of the shim and of whatever works for it; waits until all are gone."""
    os.kill(s.shim_pid, signal.SIGKILL)
    h.until(lambda: not s.pids(), "the end of the shim and its workers")


@h.test("shim pod: one shim for all containers of a group, and it outlives each of them")
def _(c):
    boxes = [c.sleeper() for _ in range(3)]
    with shim.Shim(c, boxes[0], group="pod-1") as s:
        for box in boxes[1:]:
            box.config["annotations"] = {"io.kubernetes.cri.sandbox-id": "pod-1"}
            box.write()
            h.eq(s.address, s.launch(box))
        h.eq(1, len(s.pids()))
        connections = [shim.Connection(s.address) for _ in boxes]
        for box, connection in zip(boxes, connections):
            with open(box.path + "/address", encoding="ascii") as file:
                h.eq(s.address, file.read())
            connection.call("Create", s.create_payload(box))
            connection.call("Start", enc(_1=box.id))
        for box, connection in zip(boxes, connections):
            connection.call("Shutdown", enc(_1=box.id))
            connection.call("Kill", enc(_1=box.id, _3=9))
            h.eq(137, one(connection.call("Wait", enc(_1=box.id)), 1))
            connection.call("Delete", enc(_1=box.id))
            done = s.invoke(box, "delete")
            h.eq(0, done.returncode)
            connection.close() if box is not boxes[2] else None
        h.eq(1, len(s.pids()))
        connections[2].call("Shutdown", enc(_1=boxes[2].id))
        h.until(lambda: not s.pids(), "the end of the shim")


@h.test("shim pod: many containers at a time, each with the right end")
def _(c):
    boxes = [c.bundle(["sh", "-c", "exit %d" % (i % 7)]) for i in range(30)]
    with shim.Shim(c, boxes[0]) as s:
        created = [s.main.send("Create", s.create_payload(box)) for box in boxes]
        for stream in created:
            s.main.answer(stream)
        waits = [s.main.send("Wait", enc(_1=box.id)) for box in boxes]
        starts = [s.main.send("Start", enc(_1=box.id)) for box in boxes]
        for stream in starts:
            s.main.answer(stream)
        h.eq([i % 7 for i in range(30)], [one(s.main.answer(w), 1) for w in waits])
        for stream in [s.main.send("Delete", enc(_1=box.id)) for box in boxes]:
            s.main.answer(stream)
        h.until(lambda: s.events.topics().count("delete") == 30, "all events")
        for box in boxes:
            order = [e[0] for e in s.events.list if text(e[3], 1) == box.id]
            h.eq(["/tasks/" + t for t in ("create", "start", "exit", "delete")], order)


@h.test("shim killed: delete ends the container, reports 137, and may be called again")
def _(c):
    box = c.sleeper()
    with shim.Shim(c, box) as s:
        pid = s.run(box)
        crash(s)
        h.true(os.path.exists("/proc/%d" % pid), "the container went with its shim")
        h.eq((pid, 137), parts(s.invoke(box, "delete")))
        isolation.reap()
        h.true(not os.path.exists(c.cgroup(box)), "the cgroup is left")
        h.eq([], [n for n in os.listdir(c.path("shim-root", "test")) if n[0] != "."])
        h.true(not os.path.exists(s.address.replace("unix://", "")), "the socket is left")
        h.eq((0, 137), parts(s.invoke(box, "delete")))


@h.test("shim of a pod killed: one delete clears all of it, and the others' still report 137")
def _(c):
    boxes = [c.sleeper() for _ in range(3)]
    other = c.sleeper()
    root = ["--root", c.path("shim-root", "test")]
    with shim.Shim(c, boxes[0], group="pod-1") as s:
        pids = [s.run(box) for box in boxes]
        c.command(h.runtime() + root + ["run", "-d", "-b", other.path, other.id]).ok()
        crash(s)
        h.eq((pids[0], 137), parts(s.invoke(boxes[0], "delete")))
        isolation.reap()
        h.eq([], [box.id for box in boxes if os.path.exists(c.cgroup(box))], "cgroups")
        h.eq([other.id], [n for n in os.listdir(c.path("shim-root", "test")) if n[0] != "."])
        c.command(h.runtime() + root + ["delete", "--force", other.id]).ok()
        h.eq([(pid, 137) for pid in pids[1:]],
             [parts(s.invoke(box, "delete")) for box in boxes[1:]])


@h.test("shim killed after the container's end: delete reports how it ended")
def _(c):
    box = c.bundle(["sh", "-c", "exit 5"])
    with shim.Shim(c, box) as s:
        pid = s.run(box)
        h.eq(5, s.wait(box))
        crash(s)
        h.eq((pid, 5), parts(s.invoke(box, "delete")))


@h.test("shim killed with rootfs mounts: delete takes them away")
def _(c):
    box = c.sleeper()
    lower = c.path("lower")
    os.rename(box.rootfs, lower)
    os.mkdir(box.rootfs)
    with shim.Shim(c, box) as s:
        s.run(box, rootfs=[enc(_1="bind", _2=lower, _4=["rbind"])])
        crash(s)
        h.eq(137, parts(s.invoke(box, "delete"))[1])
        h.eq([], os.listdir(box.rootfs))


@h.test("shim killed while it creates: nothing goes on, and delete cleans up")
def _(c):
    box = c.bundle(["true"], lambda config: config.update(hooks={
        "createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "1000"]}]}))
    with shim.Shim(c, box) as s:
        s.main.send("Create", s.create_payload(box))
        h.until(lambda: os.path.exists(c.cgroup(box)), "the creation's start")
        shim.settle()
        crash(s)
        h.eq(137, parts(s.invoke(box, "delete"))[1])
        h.true(not os.path.exists(c.cgroup(box)), "the cgroup is left")


@h.test("shim: delete with nothing there succeeds")
def _(c):
    box = c.bundle(["true"])
    with shim.Shim(c, box) as s:
        h.eq((0, 137), parts(s.invoke(box, "delete")))


@h.test("shim: a hook that takes its time holds up nobody else")
def _(c):
    slow = c.bundle(["true"], lambda config: config.update(hooks={
        "createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "2"]}]}))
    box = c.bundle(["true"])
    with shim.Shim(c, box) as s:
        creating = s.main.send("Create", s.create_payload(slow))
        s.main.refused(shim.EXISTS, "Create", s.create_payload(slow))
        s.run(box)
        h.eq(0, s.wait(box))
        s.delete(box)
        h.true(creating not in s.main.answers, "the slow one was first")
        s.main.answer(creating)
        s.delete(slow)


@h.test("containerd away: events wait for it, in order, and none is lost")
def _(c):
    box = c.bundle(["sh", "-c", "exit 3"])
    with shim.Shim(c, box, events=False) as s:
        s.run(box)
        h.eq(3, s.wait(box))
        shim.settle(0.3)
        s.events.listen()
        s.events.wait("create", "start", "exit")
        s.events.close()
        s.delete(box)
        shim.settle()
        s.events.listen()
        s.events.wait("create", "start", "exit", "delete")


@h.test("containerd restarted: its new connections find the tasks; what was asked before is lost")
def _(c):
    box = c.sleeper()
    with shim.Shim(c, box) as s:
        pid = s.run(box)
        s.main.send("Wait", enc(_1=box.id))
        s.events.close()
        s.main.close()
        s.events.listen()
        again = shim.Connection(s.address)
        h.eq(pid, one(again.call("Connect", enc(_1=box.id)), 2))
        h.true(again.call("Pids", enc(_1=box.id)).get(1), "no pids of a live container")
        again.call("Kill", enc(_1=box.id, _3=9))
        h.eq(137, one(again.call("Wait", enc(_1=box.id)), 1))
        again.call("Delete", enc(_1=box.id))
        s.events.wait("create", "start", "exit", "delete")
        again.close()


@h.test("shim: SIGTERM ends it only when no container is left")
def _(c):
    box = c.sleeper()
    with shim.Shim(c, box) as s:
        s.run(box)
        os.kill(s.shim_pid, signal.SIGTERM)
        shim.settle()
        h.eq(shim.RUNNING, s.status(box))
        s.kill(box)
        s.wait(box)
        s.delete(box)
        os.kill(s.shim_pid, signal.SIGTERM)
        h.until(lambda: not s.pids(), "the end of the shim")


@h.test("shim pod: of many starts at a time one makes the shim, also over a dead one's socket")
def _(c):
    boxes = [c.bundle(["true"]) for _ in range(12)]
    with shim.Shim(c, boxes[0], group="pod-1") as s:
        crash(s)
        for box in boxes[1:]:
            box.config["annotations"] = {"io.kubernetes.cri.sandbox-id": "pod-1"}
            box.write()
        for _ in range(25):
            with concurrent.futures.ThreadPoolExecutor(len(boxes)) as pool:
                addresses = set(pool.map(s.launch, boxes))
            h.eq({s.address}, addresses)
            h.until(lambda: len(s.pids()) == 1, "the end of all shims but one")
            connection = shim.Connection(s.address)
            s.shim_pid = one(connection.call("Connect"), 1)
            h.eq([s.shim_pid], s.pids())
            connection.close()
            crash(s)


@h.test("shim: without a container for 30 s it ends; a connection begins the time anew")
def _(c):
    box = c.bundle(["true"])
    with shim.Shim(c, box) as s:
        begin = time.monotonic()
        shim.settle(6)
        shim.Connection(s.address).close()
        s.run(box)
        s.wait(box)
        shim.settle(25)
        s.delete(box)
        h.eq([s.shim_pid], s.pids())
        ended = time.monotonic()
        h.until(lambda: not s.pids(), "the end of the shim", 40)
        h.true(time.monotonic() - ended > 28, "it went %g s after the last container" %
               (time.monotonic() - ended))
        h.true(time.monotonic() - begin > 55, "it went too early")
        h.true(not os.path.exists(s.address.replace("unix://", "")), "the socket is left")


@h.test("shim start: the socket of one that was killed is taken over")
def _(c):
    box = c.bundle(["true"])
    with shim.Shim(c, box) as s:
        crash(s)
        h.true(os.path.exists(s.address.replace("unix://", "")), "the socket went with the shim")
        h.eq(s.address, s.launch(box))
        connection = shim.Connection(s.address)
        connection.call("Connect", enc(_1=box.id))


@h.test("shim start as containerd 1.6 calls it: plain text, and nothing else is printed")
def _(c):
    box = c.bundle(["true"])
    os.makedirs("/run/containerd", exist_ok=True)
    isolation.mount("none", "/run/containerd", "tmpfs")
    try:
        with shim.Shim(c, box) as s:
            for stdin in (b"", s.options()):
                done = s.invoke(box, "start", stdin)
                h.eq((0, b""), (done.returncode, done.stderr))
                h.match(r"\Aunix:///run/containerd/s/[0-9a-f]{32}\Z", done.stdout.decode())
                path = done.stdout.decode()[7:]
                h.eq("0o600", oct(os.stat(path).st_mode & 0o777))
                h.eq("0o700", oct(os.stat(os.path.dirname(path)).st_mode & 0o777))
            connection = shim.Connection(done.stdout.decode())
            connection.call("Shutdown")
            connection.close()
            h.until(lambda: len(s.pids()) == 1, "the end of the shim")
            with open("/proc/net/unix", encoding="ascii") as file:
                h.lacks("@" + s.folder, file.read())
    finally:
        isolation.umount("/run/containerd")


@h.test("shim start that fails says why, and leaves no process")
def _(c):
    box = c.bundle(["true"])
    with shim.Shim(c, box) as s:
        before = s.pids()
        os.unlink(box.path + "/config.json")
        for flags, stdin, words in (((), b"", b"config.json"), ((), b"\x0f", b"malformed"),
                                    (("-debug",), b"", b"config.json")):
            done = s.invoke(box, "start", stdin, flags)
            h.eq(1, done.returncode)
            h.has(words, done.stderr)
        h.until(lambda: s.pids() == before, "the end of what was forked")
        done = subprocess.run([s.binary], capture_output=True, check=False)
        h.eq(1, done.returncode)
        h.has(b"containerd", done.stderr)


@h.test("shim: its oom score is one above containerd's; it logs into containerd's fifo")
def _(c):
    box = c.bundle(["true"])
    with shim.Shim(c, box, debug=True) as s:
        with open("/proc/self/oom_score_adj", encoding="ascii") as file:
            own = int(file.read())
        with open("/proc/%d/oom_score_adj" % s.shim_pid, encoding="ascii") as file:
            h.eq(own + 1, int(file.read()))
        log = os.open(box.path + "/log", os.O_RDONLY | os.O_NONBLOCK)
        s.create(box, options=s.options(_6="/usr/bin/runc"))
        h.has("BinaryName", os.read(log, 4096).decode())
        os.close(log)
        s.delete(box)


@h.test("shim: one thread, at most 1 MiB, at most 64 KiB more for a further container")
def _(c):
    boxes = [c.sleeper() for _ in range(21)]
    with shim.Shim(c, boxes[0]) as s:
        s.run(boxes[0], s.stdio("io0"))
        s.call("State", enc(_1=boxes[0].id))
        shim.settle(1)  # it gives back what it does not use when nothing has happened for a while
        first, threads, _ = s.memory()
        for number, box in enumerate(boxes[1:], 1):
            s.run(box, s.stdio("io%d" % number))
        shim.settle(1)
        last, _, _ = s.memory()
        print("# PSS %d KiB, %.1f KiB a further container" % (first, (last - first) / 20))
        h.eq(1, threads)
        if not os.environ.get("CORACLE_SANITIZED"):
            h.true(first <= 1024, "PSS of %d KiB" % first)
            h.true(last - first <= 20 * 64, "%d KiB for 20 containers" % (last - first))


def says_back(io, word):
    """A client attaches to a cat at a terminal, writes a line, and goes when it has come back."""
    reader = os.open(io.paths["stdout"], os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)
    with open(io.paths["stdin"], "wb", buffering=0) as writer, open(reader, "rb", 0) as output:
        writer.write(word + b"\n")
        heard = b""
        while heard.count(word) < 2:  # the terminal's echo, and cat's
            heard += output.read(100)


def hang_up(io):
    with open(io.paths["stdin"], "wb", buffering=0) as writer:
        writer.write(b"\x04")  # the end of the input, at a terminal


@h.test("shim: execs, terminals, clients, connections and containers come and go; nothing grows")
def _(c):
    rounds = int(os.environ.get("SHIM_ROUNDS", "150"))
    box, other = c.sleeper(), c.bundle(["true"])
    with shim.Shim(c, box) as s:
        s.run(box)

        def cycle(number):
            for terminal in (False, True):
                name = "e%d%s" % (number, terminal)
                io = s.stdio(name, terminal=terminal, stdin=True, readers=not terminal)
                s.exec_start(box, name, ["cat"] if terminal else ["true"], io)
                s.call("ResizePty", enc(_1=box.id, _2=name, _3=80 + number % 9, _4=25))
                if terminal:
                    for word in (b"one", b"two"):  # the second client attaches after the first
                        says_back(io, word)
                    hang_up(io)
                h.eq(0, s.wait(box, name))
                s.delete(box, name)
                io.join()
                for path in filter(None, io.paths.values()):
                    os.unlink(path)
            connection = shim.Connection(s.address)
            connection.call("State", enc(_1=box.id))
            connection.close()
            if number % 10 == 0:
                s.run(other)
                s.wait(other)
                s.delete(other)
        for number in range(30):
            cycle(number)
        shim.settle(1)  # it learns of the last closed connection, and gives back what it can
        # Without the binary's own pages: how much of them is its part depends on who else runs it.
        before, pss = s.memory("Pss_Anon"), s.memory()[0]
        for number in range(30, 30 + rounds):
            cycle(number)
        shim.settle(1)
        after = s.memory("Pss_Anon")
        print("# before %s, after %s; PSS %d and %d KiB" % (before, after, pss, s.memory()[0]))
        h.eq(before[2], after[2], "descriptors")
        # The heap's most is reached late; the least block lost a cycle would be 160 KiB in 10,000.
        if not os.environ.get("CORACLE_SANITIZED"):  # AddressSanitizer keeps what is freed
            h.true(after[0] <= before[0] + 64, "memory from %d to %d KiB" % (before[0], after[0]))


if __name__ == "__main__":
    h.main()
