#!/usr/bin/env python3
"""checkpoint and restore of real processes by the real criu, where kernel and criu can.

What the runtime tells criu, and what it does when criu fails: test_checkpoint.py.
"""
import os
import select
import subprocess
import time

import harness as h
from bundle import bind, namespace, user_namespace
from terminal import ConsoleSocket, read_until

COUNT = "i=0; while true; do i=$((i+1)); echo $i; sleep 0.1; done"
SECONDS = float(os.environ.get("CORACLE_TEST_TIMEOUT", "20"))


class Pipes:
    """A container's stdio: pipes that we hold the other ends of."""

    def __init__(self, c):
        self.c = c
        self.reader, self.writer = os.pipe()
        self.text = b""

    def status(self, *args):
        """The runtime in the foreground with these as stdout and stderr."""
        argv = h.runtime() + ["--root", self.c.root] + [str(a) for a in args]
        with open(os.devnull, "rb") as null:
            return subprocess.Popen(argv, stdin=null, stdout=self.writer, stderr=self.writer,
                                    cwd=self.c.scratch).wait(SECONDS)

    def run(self, *args):
        """It must succeed."""
        status = self.status(*args)
        if status != 0:
            h.fail("%s: status %d, %r" % (" ".join(map(str, args)), status, self.read(0.1)))

    def read(self, seconds):
        """What came, after waiting so long."""
        end = time.monotonic() + seconds
        while True:
            left = end - time.monotonic()
            if not select.select([self.reader], [], [], max(0, left))[0]:
                break
            self.text += os.read(self.reader, 65536)
        return self.text.decode()

    def numbers(self, count):
        """Waits for so many more whole lines and returns them all, as numbers."""
        def complete():
            return self.read(0.05).count("\n") >= wanted
        wanted = self.text.count(b"\n") + count
        h.until(complete, "%d more lines of %r" % (count, self.text[-200:]), SECONDS)
        return [int(line) for line in self.text.decode().split("\n")[:-1]]

    def in_order(self):
        found = self.numbers(5)
        h.eq(list(range(found[0], found[0] + len(found))), found)
        return found


def counter(c, edit=None):
    """A container that counts into a pipe, and the pipe."""
    box, pipes = c.bundle(["sh", "-c", COUNT], edit), Pipes(c)
    pipes.run("run", "-d", "-b", box.path, box.id)
    pipes.numbers(3)
    return box, pipes


def checkpoint(c, box, *options, images="images"):
    return c.rt("checkpoint", "--image-path", c.path(images), *options, box.id)


def restore(c, box, pipes, *options, images="images"):
    pipes.run("restore", "-d", "-b", box.path, "--image-path", c.path(images), *options, box.id)
    h.eq("running", c.status(box))


@h.test("a process counts on from where it was, into the same pipe", needs=("criu",))
def _(c):
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        cgroup2 = [line.split(" - ")[1] for line in file if " - cgroup2 " in line]
    box, pipes = counter(c)
    for _ in range(2):
        checkpoint(c, box).ok()
        h.eq("stopped", c.status(box))
        before = pipes.read(0.5)
        h.eq(before, pipes.read(0.5), "output of a stopped container")
        restore(c, box, pipes)
        pipes.in_order()
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        h.eq(cgroup2, [line.split(" - ")[1] for line in file if " - cgroup2 " in line],
             "options of the cgroup2 file system")
    h.eq("0\n", c.exec(box, "sh", "-c", "echo $?").ok().out)
    c.delete(box, "--force").ok()


@h.test("--leave-running: it is not disturbed, and can be restored as another one", needs=("criu",))
def _(c):
    box, pipes = counter(c)
    checkpoint(c, box, "--leave-running").ok()
    h.eq("running", c.status(box))
    pipes.in_order()
    other = c.bundle(["sh", "-c", COUNT])
    more = Pipes(c)
    restore(c, other, more)
    first = more.numbers(5)
    h.true(3 <= first[0] <= pipes.numbers(1)[-1], "the copy began at %d" % first[0])
    with open("/proc/%d/cgroup" % c.state(other)["pid"], encoding="ascii") as file:
        h.eq("/" + other.id, h.own_cgroup(file.read()))


@h.test("--pre-dump, then a checkpoint on top of it", needs=("criu",))
def _(c):
    box, pipes = counter(c)
    checkpoint(c, box, "--pre-dump", images="before").ok()
    h.eq("running", c.status(box))
    checkpoint(c, box, "--parent-path", "../before").ok()
    h.true(os.path.exists(c.path("images", "parent")), "no link to the parent")
    restore(c, box, pipes)
    pipes.in_order()


@h.test("a terminal comes back by the console socket", needs=("criu",))
def _(c):
    def edit(config):
        config["process"]["terminal"] = True
    socket = ConsoleSocket(c.path("console"), SECONDS)
    box = c.bundle(["sh"], edit)
    c.rt("run", "-d", "-b", box.path, "--console-socket", socket.path, box.id).ok()
    master, _ = socket.accept()
    os.write(master, b"mark=here; echo ready\n")
    read_until(master, "ready\n", SECONDS)
    checkpoint(c, box).ok()
    os.close(master)
    c.rt("restore", "-d", "-b", box.path, "--image-path", c.path("images"), "--console-socket",
         socket.path, box.id).ok()
    master, _ = socket.accept()
    os.write(master, b"echo mark is $mark\n")
    read_until(master, "mark is here\n", SECONDS)
    os.close(master)
    socket.close()


@h.test("binds: nested, over a symlink, a file; their mount points are made again", needs=("criu",))
def _(c):
    for name in ("one", "two", "three"):
        os.mkdir(c.path(name))
    with open(c.path("file"), "w", encoding="ascii") as file:
        file.write("contents\n")

    def edit(config):
        config["mounts"] += [bind(c.path("one"), "/test"), bind(c.path("two"), "/test/for/nested"),
                             bind(c.path("three"), "/link"), bind(c.path("file"), "/etc/file", "ro"),
                             bind(".", "/bundle")]
    box, pipes = c.bundle(["sh", "-c", COUNT], edit), Pipes(c)
    os.makedirs(box.file("real", "conf"))
    os.symlink("/real/conf", box.file("link"))
    pipes.run("run", "-d", "-b", box.path, box.id)
    pipes.numbers(1)
    checkpoint(c, box).ok()
    os.rmdir(c.path("one", "for", "nested"))
    os.rmdir(c.path("one", "for"))
    os.unlink(box.file("etc", "file"))
    with open(c.path("two", "new"), "w", encoding="ascii"):
        pass
    restore(c, box, pipes)
    pipes.in_order()
    h.eq("new\n", c.exec(box, "ls", "/test/for/nested").ok().out)
    h.eq("contents\n", c.exec(box, "cat", "/etc/file").ok().out)
    h.eq("/bundle/config.json\n", c.exec(box, "ls", "/bundle/config.json").ok().out)
    c.exec(box, "sh", "-c", "echo x >/etc/file").fails()


@h.test("into another cgroup, with limits, seen from inside as before", needs=("criu", "pids"))
def _(c):
    def edit(config):
        config["linux"]["resources"]["pids"] = {"limit": 77}
    for mode in ("soft", "ignore"):
        box, pipes = counter(c, edit)
        inside = c.exec(box, "cat", "/proc/1/cgroup").ok().out
        checkpoint(c, box, "--manage-cgroups-mode", mode, images=mode).ok()
        old = c.cgroup(box)
        c.delete(box).ok()
        h.true(not os.path.exists(old), "the old cgroup is left")
        box.config["linux"]["cgroupsPath"] += "-moved"
        box.write()
        restore(c, box, pipes, "--manage-cgroups-mode", mode, images=mode)
        pipes.in_order()
        h.true(not os.path.exists(old), "the old cgroup was made again")
        with open(os.path.join(c.cgroup(box), "pids.max"), encoding="ascii") as file:
            h.eq("77\n", file.read())
        h.eq(inside, c.exec(box, "cat", "/proc/1/cgroup").ok().out, mode)
        h.eq("1\n", c.exec(box, "grep", "-x", "1", "/sys/fs/cgroup/cgroup.procs").ok().out, mode)
        c.delete(box, "--force").ok()


@h.test("a paused container", needs=("criu",))
def _(c):
    box, pipes = counter(c)
    c.rt("pause", box.id).ok()
    checkpoint(c, box, "--leave-running").ok()
    h.eq("paused", c.status(box))
    c.rt("resume", box.id).ok()
    pipes.in_order()
    c.rt("pause", box.id).ok()
    checkpoint(c, box).ok()
    h.eq("stopped", c.status(box))
    restore(c, box, pipes)
    pipes.in_order()


@h.test("a network namespace given by path is the same again", needs=("criu",))
def _(c):
    holder = subprocess.Popen(["unshare", "-n", "sleep", "1000"])
    c.children.append(holder)
    path = "/proc/%d/ns/net" % holder.pid
    h.until(lambda: os.readlink(path) != os.readlink("/proc/self/ns/net"), "the namespace", SECONDS)
    box, pipes = counter(c, lambda config: namespace(config, "network", path))
    checkpoint(c, box).ok()
    restore(c, box, pipes)
    pipes.in_order()
    h.eq(os.readlink(path), os.readlink("/proc/%d/ns/net" % c.state(box)["pid"]))


@h.test("in a user namespace, with device nodes that are binds", needs=("criu",))
def _(c):
    box, pipes = c.bundle(["sh", "-c", COUNT], user_namespace), Pipes(c)
    box.give(100000)
    pipes.run("run", "-d", "-b", box.path, box.id)
    pipes.numbers(3)
    checkpoint(c, box).ok()
    restore(c, box, pipes)
    pipes.in_order()
    with open("/proc/%d/uid_map" % c.state(box)["pid"], encoding="ascii") as file:
        h.eq(["0", "100000", "65536"], file.read().split())
    c.exec(box, "sh", "-c", "echo x >/dev/null").ok()


@h.test("into a named fifo outside, as containerd gives", needs=("criu",))
def _(c):
    os.mkfifo(c.path("fifo"))
    pipes = Pipes(c)
    os.close(pipes.reader)
    pipes.reader = os.open(c.path("fifo"), os.O_RDONLY | os.O_NONBLOCK)
    pipes.writer = os.open(c.path("fifo"), os.O_RDWR)
    # It counts when told to: what nobody has read by the time of a dump lies in the fifo, which stays,
    # and in criu's image of it, so it would come twice.
    box = c.bundle(["sh", "-c", "i=0; trap 'i=$((i+1)); echo $i' USR1; echo 0; while true; do sleep 0.1; "
                    "done"])
    pipes.run("run", "-d", "-b", box.path, box.id)
    h.eq([0], pipes.numbers(1))
    checkpoint(c, box).ok()
    restore(c, box, pipes)
    c.rt("kill", box.id, "USR1").ok()
    h.eq([0, 1], pipes.numbers(1))


@h.test("what exec left behind in the container comes back too", needs=("criu",))
def _(c):
    box, pipes = counter(c)
    pid = c.exec(box, "sh", "-c", "sleep 1000 </dev/null >/dev/null 2>&1 & echo $!").ok().out.strip()
    checkpoint(c, box).ok()
    restore(c, box, pipes)
    pipes.in_order()
    c.exec(box, "test", "-d", "/proc/" + pid).ok()


@h.test("in the foreground: the status of the restored process is ours", needs=("criu",))
def _(c):
    box = c.bundle(["sh", "-c", "while [ ! -e /go ]; do sleep 0.1; done; exit 7"])
    pipes = Pipes(c)  # criu opens a plain file anew, with O_NOFOLLOW if it had that
    pipes.run("run", "-d", "-b", box.path, box.id)
    checkpoint(c, box).ok()
    with open(box.file("go"), "w", encoding="ascii"):
        pass
    status = pipes.status("restore", "-b", box.path, "--image-path", c.path("images"), box.id)
    h.eq(7, status, pipes.read(0.1))


@h.test("images of nothing: criu's own words, and nothing is left", needs=("criu",))
def _(c):
    h.only_ours("the words are ours")
    box = c.bundle(["true"])
    os.mkdir(c.path("images"))
    done = c.rt("restore", "-d", "-b", box.path, "--image-path", c.path("images"), box.id)
    done.fails(r"criu failed to restore: Unexpected EOF on \(empty-image\) \(log: ")
    h.true(not os.path.exists(os.path.join(c.root, box.id)), "state is left")


if __name__ == "__main__":
    h.main()
