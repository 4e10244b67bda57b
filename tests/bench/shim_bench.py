#!/usr/bin/env python3
"""What the containerd shim costs, beside containerd-shim-runc-v2 with runc and with crun.

usage: shim_bench.py [--rounds N] [--pod N] [--megabytes N] [--ctr-rounds N] [--peer PATH]...

PATH: a runtime for containerd-shim-runc-v2 to use; by default the runc and crun in $PATH.

The shims take turns; times are medians in ms of what containerd waits for: the exec of `start`, the
calls of a task's life, and the exec of `delete`; and the CPU time of all of it, the container's
included and this script's own left out, which a busy machine changes less. Memory is that of the
shim alone, idle, with one container and for each further one in its pod. The bytes through stdout
are compared by checksum. `ctr run --rm` is measured under a containerd of the bench's own. Ratios
are medians of coracle's time through the other's of the same round; times are worth something only
as such. Needs root; runs in private namespaces like the integration tests.
"""
import argparse
import hashlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "integration"))
import containerd  # noqa: E402
import harness as h  # noqa: E402
import isolation  # noqa: E402
import rootfs  # noqa: E402
import shim  # noqa: E402
from shim import enc, one  # noqa: E402

STEPS = ("start", "Create", "Start", "Wait", "Delete", "Shutdown", "delete")


class Subject:
    def __init__(self, case, name, binary, runtime=None):
        self.case, self.name, self.runtime, self.serial = case, name, runtime, 0
        self.folder = case.path("s-" + name)
        os.makedirs(self.folder)
        self.binary = os.path.join(self.folder, "containerd-shim-coracle-v2") \
            if runtime is None else binary
        if runtime is None:
            os.symlink(os.path.abspath(binary), self.binary)
        self.logs = []  # containerd keeps its fifos open too
        self.events = shim.Events(self.folder + "/e.ttrpc")

    def options(self):
        more = {"_6": self.runtime} if self.runtime else {}
        return shim.any_of("containerd.runc.v1.Options", enc(_7=self.folder + "/root", **more))

    def invoke(self, box, action):
        if not os.path.exists(box.path + "/log"):
            os.mkfifo(box.path + "/log")
            self.logs.append(os.open(box.path + "/log", os.O_RDWR | os.O_NONBLOCK))
        flags = ["-bundle", box.path] if action == "delete" else []
        done = subprocess.run(
            [self.binary, "-namespace", "bench", "-address", self.folder + "/c.sock",
             "-publish-binary", "/bin/true", "-id", box.id, *flags, action], cwd=box.path,
            input=self.options() if action == "start" else b"", capture_output=True,
            env=dict(os.environ, TTRPC_ADDRESS=self.events.path, GOMAXPROCS="2"), check=False)
        if done.returncode:
            raise RuntimeError("%s %s: %s" % (self.name, action, done.stderr.decode()))
        return done.stdout.decode(errors="replace")

    def box(self, args, group=None, edit=None):
        def change(config):
            # The runc shim's own defaults for a machine without controllers and rlimits.
            config["linux"].pop("resources", None)
            if group:
                config["annotations"] = {"io.kubernetes.cri.sandbox-id": group}
            if edit:
                edit(config)
        self.serial += 1
        box = self.case.bundle(args, change, "%s-%d" % (self.name, self.serial))
        # containerd names a bundle's folder by the id, and runc's shim depends on it.
        path = os.path.join(self.folder, box.id)
        os.rename(box.path, path)
        box.path, box.rootfs = path, path + "/rootfs"
        return box

    def create(self, connection, box, paths=None):
        f = {"_in": "", "_out": "", "_err": "", **(paths or {})}
        return one(connection.call("Create", enc(
            _1=box.id, _2=box.path, _4=False, _5=f["_in"], _6=f["_out"], _7=f["_err"],
            _10=self.options())), 1)

    def life(self):
        """{step: ms} of one task."""
        box, times = self.box(["true"]), {}
        before = cpu_of_all()

        def timed(step, act):
            begin = time.perf_counter()
            result = act()
            times[step] = (time.perf_counter() - begin) * 1000
            return result
        address = timed("start", lambda: self.invoke(box, "start"))
        c = shim.Connection(address)
        timed("Create", lambda: self.create(c, box))
        waiting = c.send("Wait", enc(_1=box.id))
        timed("Start", lambda: c.call("Start", enc(_1=box.id)))
        timed("Wait", lambda: c.answer(waiting))
        timed("Delete", lambda: c.call("Delete", enc(_1=box.id)))
        timed("Shutdown", lambda: self.shutdown(c))
        timed("delete", lambda: self.invoke(box, "delete"))
        times["cpu"] = cpu_of_all() - before
        shutil.rmtree(box.path, ignore_errors=True)
        isolation.reap()
        return times

    def shutdown(self, connection):
        try:  # some are gone before they have answered
            connection.call("Shutdown", enc(_1="x"))
            while connection.sock.recv(100):
                pass
        except (OSError, EOFError):
            pass
        connection.close()


def cpu_of_all():
    """ms used by everything in our corner of the machine but this process."""
    with open(isolation.CGROUP + "/cpu.stat", encoding="ascii") as file:
        return int(file.readline().split()[1]) / 1000 - time.process_time() * 1000


def memory(pid):
    values = {}
    with open("/proc/%d/smaps_rollup" % pid, encoding="ascii") as file:
        for line in file:
            if line.startswith(("Pss:", "Private_Dirty:", "Rss:")):
                values[line.split(":")[0]] = int(line.split()[1])
    with open("/proc/%d/status" % pid, encoding="ascii") as file:
        values["threads"] = [int(x.split()[1]) for x in file if x.startswith("Threads:")][0]
    return values


def pod(subject, count):
    boxes = [subject.box(["sleep", "1000"], "pod") for _ in range(count)]
    address = subject.invoke(boxes[0], "start")
    c = shim.Connection(address)
    pid = one(c.call("Connect", enc(_1="x")), 1)
    out = []
    for number, box in enumerate(boxes):
        subject.create(c, box)
        c.call("Start", enc(_1=box.id))
        if number in (0, count - 1):
            time.sleep(2)
            out.append(memory(pid))
    for box in boxes:
        c.call("Kill", enc(_1=box.id, _3=9))
        c.call("Wait", enc(_1=box.id))
        c.call("Delete", enc(_1=box.id))
    subject.shutdown(c)
    return out


def cpu(pid):
    with open("/proc/%d/stat" % pid, encoding="ascii") as file:
        return sum(map(int, file.read().rsplit(")", 1)[1].split()[11:13])) * 10  # ms


def throughput(subject, megabytes):
    """Wall s, CPU ms of the shim, and whether every byte came, in order."""
    io = shim.Stdio(subject.folder, "t%d" % subject.serial, readers=False)
    box = subject.box(["sh", "-c", "i=%d; while [ $i -gt 0 ]; do cat /block; i=$((i-1)); done" %
                       megabytes])
    block, wanted, found = os.urandom(1 << 20), hashlib.sha256(), hashlib.sha256()
    with open(box.rootfs + "/block", "wb") as file:
        file.write(block)
    for _ in range(megabytes):
        wanted.update(block)
    c = shim.Connection(subject.invoke(box, "start"))
    pid = one(c.call("Connect", enc(_1="x")), 1)
    reader = os.open(io.paths["stdout"], os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)
    io.read("stderr")
    subject.create(c, box, {"_out": io.paths["stdout"], "_err": io.paths["stderr"]})
    io.opened()
    before, begin = cpu(pid), time.perf_counter()
    c.call("Start", enc(_1=box.id))
    while True:
        part = os.read(reader, 1 << 20)
        if not part:
            break
        found.update(part)
    wall = time.perf_counter() - begin
    os.close(reader)
    used = cpu(pid) - before
    c.call("Wait", enc(_1=box.id))
    c.call("Delete", enc(_1=box.id))
    subject.shutdown(c)
    return wall, used, found.digest() == wanted.digest()


def through_ctr(case, measured, rounds):
    """{name: [wall ms of `ctr run --rm` of a program that does nothing]}"""
    times = {s.name: [] for s in measured}
    with containerd.Containerd(case) as d:
        for number in range(rounds + 1):
            for subject in measured:
                kind = ["--runtime", containerd.TYPE]
                if subject.runtime:
                    kind = ["--runtime", "io.containerd.runc.v2", "--runc-binary", subject.runtime]
                begin = time.perf_counter()
                # With a time limit Python polls, and all that takes 32 to 64 ms takes 64.
                d.ctr("run", "--rm", *kind, "--cpu-shares", 0, containerd.IMAGE,
                      "%s-%d" % (subject.name, number), "true", timeout=None).ok()
                if number:  # the first one warms up
                    times[subject.name].append((time.perf_counter() - begin) * 1000)
    return times


def subjects(case, peers):
    found = [Subject(case, "coracle", h.runtime()[0])]
    peer = shutil.which("containerd-shim-runc-v2")
    for runtime in peers or ("runc", "crun"):
        path = shutil.which(runtime)
        if peer and path:
            found.append(Subject(case, os.path.basename(runtime), peer, path))
    working = []
    for subject in found:
        try:
            subject.life()
            working.append(subject)
        except (RuntimeError, shim.Refused, EOFError) as error:
            print("# %s cannot be measured here: %s" % (subject.name, error))
    return working


def measure(options):
    os.makedirs("/run/containerd", exist_ok=True)
    isolation.mount("none", "/run/containerd", "tmpfs")
    scratch = tempfile.mkdtemp(prefix="coracle-bench-")
    os.chmod(scratch, 0o755)
    try:
        case = h.Case(scratch)
        measured = subjects(case, options.peer)
        rounds = {s.name: [] for s in measured}
        for _ in range(options.rounds):
            for subject in measured:
                rounds[subject.name].append(subject.life())
        print("%-10s" % "ms" + "".join("%10s" % s for s in STEPS) + "%10s" * 4 % (
            "sum", "ratio", "CPU", "ratio"))
        ours = None
        for name, lives in rounds.items():
            sums = [sum(life[s] for s in STEPS) for life in lives]
            used = [life["cpu"] for life in lives]
            ours = ours or (sums, used)
            ratios = [statistics.median(a / b for a, b in zip(x, y))
                      for x, y in zip(ours, (sums, used))]
            print("%-10s" % name + "".join(
                "%10.2f" % statistics.median(life[s] for life in lives) for s in STEPS) +
                "%10.2f" * 4 % (statistics.median(sums), ratios[0], statistics.median(used),
                                ratios[1]))
        for subject in measured:
            first, last = pod(subject, options.pod)
            print("%-10s PSS %d KiB, private dirty %d KiB, %d threads; each further container %.1f "
                  "KiB" % (subject.name, first["Pss"], first["Private_Dirty"], first["threads"],
                           (last["Pss"] - first["Pss"]) / (options.pod - 1)))
        for subject in measured:
            wall, used, whole = throughput(subject, options.megabytes)
            print("%-10s %d MB through stdout: %.2f s, shim's CPU %d ms, %s" % (
                subject.name, options.megabytes, wall, used,
                "complete and in order" if whole else "NOT WHOLE"))
        runs = through_ctr(case, measured, options.ctr_rounds)
        for name, walls in runs.items():
            print("%-10s ctr run --rm: %.1f ms, least %.1f, ratio %.2f" % (
                name, statistics.median(walls), min(walls),
                statistics.median(a / b for a, b in zip(runs["coracle"], walls))))
    finally:
        if os.path.ismount("/run/containerd"):  # the bench's containerd takes away all that is there
            isolation.umount("/run/containerd")
        shutil.rmtree(scratch, ignore_errors=True)
        rootfs.discard()
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--pod", type=int, default=11)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--ctr-rounds", type=int, default=15)
    parser.add_argument("--peer", action="append", metavar="PATH")
    options = parser.parse_args()
    sys.exit(isolation.inside(lambda: measure(options)))


if __name__ == "__main__":
    main()
