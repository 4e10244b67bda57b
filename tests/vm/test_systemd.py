#!/usr/bin/env python3
"""The systemd cgroup driver against a real systemd: to be run as root in the test machine, prints
TAP.

usage: test_systemd.py CORACLE [--faultstep PROGRAM] [PART-OF-A-NAME]...

Bundles lie below /run; the root file system is the machine's busybox. Commands as a user run by
as-user (see this folder's README); a part whose tool is missing is skipped and says so.
"""
import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback

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


def run(*words, env=None, timeout=240, stdin=None):
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

    def make(self, verb="create", *options, env=None, timeout=240):
        self.write()
        return run(CORACLE, "--systemd-cgroup", verb, "--bundle", self.bundle, *options, self.id,
                   env=env, timeout=timeout)

    def up(self):
        self.make().ok()
        self.do("start").ok()
        return self

    def do(self, verb, *more, env=None, timeout=240):
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
    import ctypes
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


# ---- create and delete ---------------------------------------------------------------------------

@test("limits: systemd's properties and the cgroup's files agree")
def _():
    box = Box(memory={"limit": 64 * MIB, "swap": 96 * MIB, "reservation": 32 * MIB},
              cpu={"shares": 512, "quota": 50500, "period": 100000, "cpus": "0-1", "mems": "0"},
              pids={"limit": 20}, unified={"memory.high": str(48 * MIB)})
    box.make().ok()
    for name, wanted in (("MemoryMax", 64 * MIB), ("MemorySwapMax", 32 * MIB),
                         ("MemoryLow", 32 * MIB), ("MemoryHigh", 48 * MIB), ("TasksMax", 20),
                         ("CPUQuotaPerSecUSec", "510ms"), ("CPUQuotaPeriodUSec", "100ms"),
                         ("AllowedCPUs", "0-1"), ("AllowedMemoryNodes", "0"),
                         ("Slice", "machine.slice"), ("Delegate", "yes"),
                         ("DefaultDependencies", "no"), ("CollectMode", "inactive-or-failed"),
                         ("ActiveState", "active"), ("ControlGroup", "/machine.slice/" + box.unit)):
        equal(str(wanted), show(box.unit, name), name)
    equal(box.file("cpu.weight"), show(box.unit, "CPUWeight"), "CPUWeight")
    for name, wanted in (("memory.max", 64 * MIB), ("memory.swap.max", 32 * MIB),
                         ("memory.low", 32 * MIB), ("memory.high", 48 * MIB), ("pids.max", 20),
                         ("cpu.max", "50500 100000"), ("cpuset.cpus", "0-1"), ("cpuset.mems", "0")):
        equal(str(wanted), box.file(name), name)
    equal([str(box.state()["pid"])], box.file("cgroup.procs").split(), "who is in the cgroup")
    box.delete()


@test("block device limits go through both ways")
def _():
    disk = next((name for name in os.listdir("/sys/block") if name.startswith(("vd", "sd"))), None)
    if not disk:
        raise Skip("no disk")
    number = read("/sys/block/%s/dev" % disk)
    major, minor = map(int, number.split(":"))
    where = {"major": major, "minor": minor}
    box = Box(blockIO={"throttleReadBpsDevice": [dict(where, rate=1000000)],
                       "throttleWriteIOPSDevice": [dict(where, rate=100)]})
    box.make().ok()
    need(re.search(r"%s rbps=1000000 wbps=max riops=max wiops=100" % number, box.file("io.max")),
         box.file("io.max"))
    need("1000000" in show(box.unit, "IOReadBandwidthMax"), show(box.unit, "IOReadBandwidthMax"))
    box.delete()


@test("hugetlb, of which systemd knows nothing, is enabled for the scope")
def _():
    box = Box(hugepageLimits=[{"pageSize": "2MB", "limit": 4 * MIB}])
    box.make().ok()
    equal(str(4 * MIB), box.file("hugetlb.2MB.max"))
    box.delete()


@test("names: the default, expanded slices, .slice, and what is refused")
def _():
    box = Box(path="")
    box.make().ok()
    equal("/system.slice/coracle-%s.scope" % box.id, show("coracle-%s.scope" % box.id, "ControlGroup"))
    equal("coracle-%s.scope" % box.id, box.state()["systemd-scope"])
    box.unit, box.cgroup = "coracle-%s.scope" % box.id, "%s/system.slice/coracle-%s.scope" % (CGROUPS, box.id)
    box.delete()

    box = Box()
    box.linux["cgroupsPath"] = "testa-testb.slice:x:" + box.id
    box.unit = "x-%s.scope" % box.id
    box.cgroup = "%s/testa.slice/testa-testb.slice/%s" % (CGROUPS, box.unit)
    box.up()
    equal("0::/testa.slice/testa-testb.slice/%s" % box.unit,
          read("/proc/%d/cgroup" % box.state()["pid"]))
    box.delete()

    box = Box()
    box.unit = "test%s.slice" % box.id.replace("-", "")
    box.linux["cgroupsPath"] = "system.slice:unused:" + box.unit
    box.linux["resources"] = {"pids": {"limit": 9}}
    box.cgroup = "%s/%s" % (CGROUPS, box.unit)
    box.up()
    equal("9", box.file("pids.max"))
    equal("9", show(box.unit, "TasksMax"))
    equal("hello", box.exec("echo", "hello").ok().out.strip())
    box.delete()

    for path in ("/a/path", "a.slice:b", "a/b.slice:c:d", "a--b.slice:c:d"):
        Box(path=path).make().fails("linux.cgroupsPath")


@test("without the flag: exec, ps, pause, resume, events, kill, state")
def _():
    box = Box().up()
    equal(box.unit, box.state()["systemd-scope"])
    # Its root is its own cgroup, so it sees itself at "/".
    equal("0::/", box.exec("cat", "/proc/self/cgroup").ok().out.strip())
    equal([box.state()["pid"]], json.loads(run(CORACLE, "ps", "--format", "json", box.id).ok().out))
    box.do("pause").ok()
    equal("paused", box.state()["status"])
    equal("1", box.file("cgroup.freeze"))
    box.do("resume").ok()
    stats = json.loads(run(CORACLE, "events", "--stats", box.id).ok().out)
    need(stats["data"]["memory"]["usage"]["usage"] > 0, "no memory statistics")
    run(CORACLE, "kill", box.id, "KILL").ok()
    until(lambda: box.state()["status"] == "stopped", "stopped")
    box.delete("--force")


@test("run: the exit status, and nothing is left; a scope whose processes have ended is no trouble")
def _():
    box = Box(["sh", "-c", "exit 7"])
    box.make("run").status_is(7)
    box.gone()
    box = Box(["true"]).up()
    until(lambda: box.state()["status"] == "stopped", "stopped")
    until(lambda: not loaded(box.unit), "the scope's own end")
    box.do("delete").ok()
    box.gone()


@test("a create that fails after the scope was made takes it away")
def _():
    box = Box(["sleep", "1000"])
    box.config["hooks"] = {"createRuntime": [{"path": "/bin/false", "args": ["false"]}]}
    box.make().fails("createRuntime")
    box.gone()
    box = Box(unified={"memory.high": "nonsense"})
    box.make().fails("memory.high")
    box.gone()


@test("few tasks: a limit of 1, and of none")
def _():
    box = Box(["sleep", "1000"], pids={"limit": 1}).up()
    equal("1", box.file("pids.max"))
    equal("1", show(box.unit, "TasksMax"))
    box.delete()
    box = Box(["sleep", "1000"], pids={"limit": 0}).up()
    equal("0", box.file("pids.max"))
    box.delete()


@test("little memory: a container of 2 MiB runs; one that runs out says so")
def _():
    Box(["true"], memory={"limit": 2 * MIB}).make("run").ok()
    box = Box(["sh", "-c", "x=$(head -c 60000000 /dev/zero | tail -c 50000000 | tr '\\0' x)"],
              memory={"limit": 16 * MIB, "swap": 16 * MIB})
    box.make("run").status_is(137)
    box.gone()


@test("a unit of that name: one in use is left alone, a failed one is replaced")
def _():
    box = Box()
    other = subprocess.Popen(["systemd-run", "--quiet", "--scope", "--unit", box.unit, "sleep", "1000"])
    until(lambda: show(box.unit, "ActiveState") == "active", "the other scope")
    before = read("%s/system.slice/%s/cgroup.procs" % (CGROUPS, box.unit))
    box.make().fails("systemd has a unit %s already" % box.unit)
    run(CORACLE, "delete", "--force", box.id).ok()
    equal(before, read("%s/system.slice/%s/cgroup.procs" % (CGROUPS, box.unit)), "the other's processes")
    other.terminate()
    other.wait()
    until(lambda: not loaded(box.unit), "the other scope's end")

    name = box.unit.replace(".scope", "")
    subprocess.run(["systemd-run", "--quiet", "--scope", "--unit", box.unit, "-p", "RuntimeMaxSec=1",
                    "sleep", "100"], check=False)
    until(lambda: show(box.unit, "ActiveState") == "failed", "%s failed" % name)
    box.up()
    box.delete()


# ---- update --------------------------------------------------------------------------------------

@test("update: the new limits are in both places, exactly, and stay there")
def _():
    box = Box(memory={"limit": 64 * MIB}, pids={"limit": 20}).up()
    run(CORACLE, "update", "--memory", "100M", "--memory-swap", "150M", "--pids-limit", "30",
        "--cpu-quota", "50500", "--cpu-period", "100000", "--cpu-share", "2048",
        "--cpuset-cpus", "1", box.id).ok()
    for _ in range(2):
        for name, wanted in (("MemoryMax", 100 * MIB), ("MemorySwapMax", 50 * MIB),
                             ("TasksMax", 30), ("CPUQuotaPerSecUSec", "510ms"),
                             ("AllowedCPUs", "1")):
            equal(str(wanted), show(box.unit, name), name)
        for name, wanted in (("memory.max", 100 * MIB), ("memory.swap.max", 50 * MIB),
                             ("pids.max", 30), ("cpuset.cpus", "1")):
            equal(str(wanted), box.file(name), name)
        if _ == 0:
            equal("50500 100000", box.file("cpu.max"))
        subprocess.run(["systemctl", "daemon-reload"], check=True)
    run(CORACLE, "update", "--memory", "-1", "--memory-swap", "-1", "--pids-limit", "-1", box.id).ok()
    equal("max", box.file("memory.max"))
    equal("infinity", show(box.unit, "MemoryMax"))
    equal("max", box.file("pids.max"))
    box.delete()


# ---- devices -------------------------------------------------------------------------------------

@test("device rules outlive systemctl daemon-reload, also in between")
def _():
    device = {"path": "/dev/kmsg", "type": "c", "major": 1, "minor": 11, "fileMode": 0o666}
    box = Box(devices=[{"allow": False, "access": "rwm"},
                       {"allow": True, "type": "c", "major": 1, "minor": 11, "access": "r"}])
    box.linux["devices"] = [device, {"path": "/dev/mem", "type": "c", "major": 1, "minor": 1}]
    box.config["process"]["args"] = [
        "sh", "-c", "while :; do head -c 0 /dev/kmsg || touch /seen/lost; "
        "head -c 0 /dev/mem 2>/dev/null && touch /seen/leak; : > /seen/round; done"]
    os.makedirs(box.bundle + "/seen")
    box.config["mounts"].append({"destination": "/seen", "type": "bind", "options": ["bind"],
                                 "source": box.bundle + "/seen"})
    shutil.copytree(ROOTFS, box.bundle + "/rootfs", symlinks=True)
    os.makedirs(box.bundle + "/rootfs/seen")
    box.config["root"] = {"path": "rootfs"}
    box.up()
    seen = box.bundle + "/seen/"
    until(lambda: os.path.exists(seen + "round"), "the first round")
    equal(1, programs(box.cgroup), "device programs")
    for _ in range(3):
        subprocess.run(["systemctl", "daemon-reload"], check=True)
    subprocess.run(["systemctl", "set-property", "--runtime", box.unit, "CPUWeight=50"], check=True)
    subprocess.run(["systemctl", "daemon-reexec"], check=True)
    os.unlink(seen + "round")
    until(lambda: os.path.exists(seen + "round"), "another round")
    need(not os.path.exists(seen + "lost"), "access that was given was refused for a while")
    need(not os.path.exists(seen + "leak"), "access that was denied was given for a while")
    equal(1, programs(box.cgroup), "device programs after reload")
    equal("refused", box.exec("sh", "-c", "head -c 1 /dev/mem 2>/dev/null || echo refused").ok()
          .out.strip())
    box.delete()


# ---- annotations ---------------------------------------------------------------------------------

@test("annotations org.systemd.property: given to the unit, or refused by name")
def _():
    box = Box()
    box.config["annotations"] = {"org.systemd.property.KillSignal": "10",
                                 "org.systemd.property.TimeoutStopUSec": "uint64 20000000",
                                 "org.systemd.property.RuntimeMaxSec": "3600",
                                 "org.systemd.property.Before": "['test-before.service']"}
    box.make().ok()
    equal("10", show(box.unit, "KillSignal"))
    equal("20s", show(box.unit, "TimeoutStopUSec"))
    equal("1h", show(box.unit, "RuntimeMaxUSec"))
    need("test-before.service" in show(box.unit, "Before"), show(box.unit, "Before"))
    box.delete()
    for name, value in (("Nonsense", "true"), ("KillSignal", "'x'"), ("Slice", "'a.slice'"),
                        ("KillSignal", "15\nDelegate=no")):
        box = Box()
        box.config["annotations"] = {"org.systemd.property." + name: value}
        box.make().fails('annotations["org.systemd.property.%s"]' % name)
        box.gone()


# ---- ownership -----------------------------------------------------------------------------------

@test("a container in a user namespace manages what is below its cgroup, and only that")
def _():
    box = Box()
    box.linux["namespaces"].append({"type": "user"})
    for kind in ("uidMappings", "gidMappings"):
        box.linux[kind] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    box.config["mounts"] = [m for m in box.config["mounts"] if m["destination"] != "/sys/fs/cgroup"]
    box.config["mounts"].append({"destination": "/sys/fs/cgroup", "type": "cgroup",
                                 "source": "cgroup", "options": ["nosuid", "noexec", "nodev"]})
    shutil.copytree(ROOTFS, box.bundle + "/rootfs", symlinks=True)
    subprocess.run(["chown", "-hR", "100000:100000", box.bundle + "/rootfs"], check=True)
    for folder in (PLACE, box.bundle):
        os.chmod(folder, 0o755)
    box.config["root"] = {"path": "rootfs"}
    box.up()
    equal(100000, os.stat(box.cgroup).st_uid)
    equal(100000, os.stat(box.cgroup + "/cgroup.procs").st_uid)
    equal(100000, os.stat(box.cgroup + "/cgroup.subtree_control").st_uid)
    equal(0, os.stat(box.cgroup + "/memory.max").st_uid)
    box.exec("sh", "-c", "cd /sys/fs/cgroup && mkdir sub && echo 1 > sub/cgroup.procs && "
             "echo $$ > sub/cgroup.procs && echo +pids > cgroup.subtree_control").ok()
    equal("in", box.exec("echo", "in").ok().out.strip())  # by way of init's own cgroup
    box.exec("sh", "-c", "echo 5 > /sys/fs/cgroup/pids.max").fails()
    box.delete()


# ---- faults --------------------------------------------------------------------------------------

class Mute:
    """A bus that lets everybody connect and says nothing."""

    def __init__(self, path):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        self.address = "unix:path=" + path
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(8)


class Forwarder(Mute):
    """The way to systemd's own socket, until it is cut."""

    def __init__(self, folder):
        os.makedirs(folder + "/systemd", exist_ok=True)
        super().__init__(folder + "/systemd/private")
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect("/run/systemd/private")
                for one, two in ((client, server), (server, client)):
                    threading.Thread(target=self.copy, args=(one, two), daemon=True).start()

    @staticmethod
    def copy(source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def cut(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@test("no bus: create says so and leaves nothing")
def _():
    box = Box()
    box.make(env={"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent"}).fails(
        "cannot reach systemd", "unix:path=/nonexistent", "--cgroup-manager cgroupfs")
    box.gone()


@test("a mute bus: create gives up by itself, and nothing is left")
def _():
    mute = Mute(PLACE + "/mute")
    box = Box()
    begin = time.monotonic()
    box.make(env={"DBUS_SYSTEM_BUS_ADDRESS": mute.address}, timeout=120).fails("no answer in time")
    need(time.monotonic() - begin < 60, "took %d s" % (time.monotonic() - begin))
    box.gone()


@test("delete works with a bus that is gone, and with a mute one")
def _():
    way = Forwarder(PLACE + "/way")
    box = Box()
    box.make(env={"DBUS_SYSTEM_BUS_ADDRESS": way.address}).ok()
    box.do("start").ok()
    pid = box.state()["pid"]
    way.cut()
    result = box.do("delete", "--force", env={"DBUS_SYSTEM_BUS_ADDRESS": way.address}).ok()
    need("is not told to stop" in result.err, result.text)
    need(not os.path.exists("/proc/%d" % pid), "the container still runs")
    box.gone()

    way = Forwarder(PLACE + "/way")
    box = Box()
    box.make(env={"DBUS_SYSTEM_BUS_ADDRESS": way.address}).ok()
    way.cut()
    mute = Mute(PLACE + "/way/systemd/private")
    begin = time.monotonic()
    box.do("delete", "--force", env={"DBUS_SYSTEM_BUS_ADDRESS": mute.address}, timeout=120).ok()
    need(time.monotonic() - begin < 60, "took %d s" % (time.monotonic() - begin))
    box.gone()


@test("the recorded bus is gone, but systemd is not: delete and update find it")
def _():
    way = Forwarder(PLACE + "/way")
    box = Box()
    box.make(env={"DBUS_SYSTEM_BUS_ADDRESS": way.address}).ok()
    way.cut()
    run(CORACLE, "update", "--pids-limit", "17", box.id).ok()
    equal("17", show(box.unit, "TasksMax"))
    equal("", box.do("delete", "--force").ok().err)
    box.gone()


@test("over the system bus as well")
def _():
    address = "unix:path=/run/dbus/system_bus_socket"
    if not os.path.exists(address.split("=")[1]):
        raise Skip("no system bus")
    box = Box(memory={"limit": 64 * MIB})
    box.make(env={"DBUS_SYSTEM_BUS_ADDRESS": address}).ok()
    with open("/run/coracle/%s/state.json" % box.id) as file:
        equal(address, json.load(file)["systemdBus"])
    equal(str(64 * MIB), show(box.unit, "MemoryMax"))
    run(CORACLE, "update", "--memory", "80M", box.id).ok()
    equal(str(80 * MIB), show(box.unit, "MemoryMax"))
    box.delete()


@test("create killed at any call: delete --force leaves nothing, and so does systemd alone")
def _():
    if not FAULTSTEP:
        raise Skip("no --faultstep")
    for number in KILL_POINTS:
        box = Box()
        box.write()
        result = run(FAULTSTEP, "-n", str(number), "-k", "-t", "200", "--", CORACLE,
                     "--systemd-cgroup", "create", "--bundle", box.bundle, box.id)
        if number % 2:
            until(lambda: not loaded(box.unit) or result.status == 0, "the scope's own end, killed "
                  "at call %d" % number)
        run(CORACLE, "delete", "--force", box.id).ok()
        box.gone()


@test("many at a time")
def _():
    boxes = [Box() for _ in range(8)]
    for box in boxes:
        box.write()
    for verb in (["--systemd-cgroup", "create", "--bundle"], ["start"], ["delete", "--force"]):
        children = []
        for box in boxes:
            words = verb + ([box.bundle] if verb[-1] == "--bundle" else []) + [box.id]
            children.append(subprocess.Popen([CORACLE] + words, stdin=subprocess.DEVNULL,
                                             stdout=subprocess.DEVNULL))
        equal([0] * len(boxes), [child.wait(300) for child in children], verb[0])
    for box in boxes:
        box.gone()


# ---- rootless ------------------------------------------------------------------------------------

def as_user(*words, **more):
    if not shutil.which("as-user"):
        raise Skip("no as-user")
    return run("as-user", *words, **more)


USER_SCRIPT = r"""
set -e
cd; rm -rf sysd; mkdir sysd; cd sysd; CORACLE=%s
$CORACLE spec --rootless
python3 - <<'P'
import json
c = json.load(open("config.json"))
c["process"]["terminal"] = False
c["process"]["args"] = ["sleep", "1000"]
c["root"] = {"path": "%s", "readonly": True}
c["linux"]["cgroupsPath"] = "user.slice:test:mine"
c["linux"]["resources"] = {"memory": {"limit": 67108864}, "pids": {"limit": 20}}
json.dump(c, open("config.json", "w"))
P
$CORACLE --systemd-cgroup create mine > /dev/null < /dev/null
$CORACLE start mine
systemctl --user show -p MemoryMax,TasksMax,ControlGroup test-mine.scope
cat /proc/$($CORACLE state mine | jq .pid)/cgroup
cat /sys/fs/cgroup$(systemctl --user show -p ControlGroup --value test-mine.scope)/memory.max
$CORACLE exec mine cat /proc/self/cgroup
$CORACLE update --pids-limit 40 mine
systemctl --user show -p TasksMax test-mine.scope
$CORACLE pause mine; $CORACLE state mine | jq -r .status; $CORACLE resume mine
env -u DBUS_SESSION_BUS_ADDRESS $CORACLE delete -f mine
systemctl --user show -p LoadState test-mine.scope
"""


@test("rootless: a user's own systemd")
def _():
    out = as_user("sh", "-c", USER_SCRIPT % (CORACLE, ROOTFS)).ok().out
    for part in ("MemoryMax=67108864", "TasksMax=20", "/user@1000.service/user.slice/test-mine.scope",
                 "\n67108864\n", "TasksMax=40", "paused", "LoadState=not-found"):
        need(part in out, "%r is not in: %s" % (part, out))


@test("rootless from outside of the user's systemd: the init is moved into its scope")
def _():
    # A process of the machine's systemd with the user's ids, as in a login session.
    script = USER_SCRIPT % (CORACLE, ROOTFS)
    runtime = "XDG_RUNTIME_DIR=/run/user/1000"
    as_user("true").ok()  # his systemd runs
    out = run("systemd-run", "--quiet", "--scope", "--uid=1000", "--gid=1000", "env",
              "HOME=" + os.path.expanduser("~tester"), runtime, "sh", "-c", script).ok().out
    for part in ("TasksMax=20", "/user@1000.service/user.slice/test-mine.scope", "TasksMax=40",
                 "LoadState=not-found"):
        need(part in out, "%r is not in: %s" % (part, out))


# ---- engines -------------------------------------------------------------------------------------

def podman_round(call, scope_of):
    call("run", "-d", "--name", "sysd", "--network", "none", "--memory", "64m", "--pids-limit", "40",
         IMAGE, "sleep", "1000").ok()
    try:
        container = call("inspect", "-f", "{{.Id}}", "sysd").ok().out.strip()
        unit = "libpod-%s.scope" % container
        equal(str(64 * MIB), scope_of(unit, "MemoryMax"))
        equal("40", scope_of(unit, "TasksMax"))
        need(scope_of(unit, "TimeoutStopUSec") != "", "no TimeoutStopUSec")
        equal("hi", call("exec", "sysd", "echo", "hi").ok().out.strip())
        call("pause", "sysd").ok()
        call("unpause", "sysd").ok()
        need("sleep" in call("top", "sysd").ok().out, "top")
        call("stats", "--no-stream", "sysd").ok()
        call("update", "--memory", "80m", "sysd")
        call("stop", "-t", "1", "sysd").ok()
        call("start", "sysd").ok()
        equal("hi", call("exec", "sysd", "echo", "hi").ok().out.strip())
    finally:
        call("rm", "-f", "-t", "0", "sysd")
    equal("not-found", scope_of(unit, "LoadState"))


@test("podman, root")
def _():
    if not shutil.which("podman"):
        raise Skip("no podman")
    podman_round(lambda *words: run("podman", "--runtime", CORACLE, "--cgroup-manager", "systemd",
                                    *words), show)


@test("podman, rootless")
def _():
    def call(*words):
        return as_user("podman", "--runtime", CORACLE, "--cgroup-manager", "systemd", *words)

    def scope_of(unit, name):
        return as_user("systemctl", "--user", "show", "-p", name, "--value", unit).ok().out.strip()
    podman_round(call, scope_of)


@test("containerd: ctr --runc-systemd-cgroup")
def _():
    if not shutil.which("ctr"):
        raise Skip("no ctr")
    subprocess.run(["systemctl", "start", "containerd"], check=True)
    image = next((line.split()[0] for line in run("ctr", "images", "ls").ok().out.splitlines()
                  if "busybox" in line), None)
    if not image:
        raise Skip("no image in containerd")
    run("ctr", "run", "-d", "--runc-binary", CORACLE, "--runc-systemd-cgroup", "--cgroup",
        "system.slice:ctr:sysd", "--memory-limit", str(64 * MIB), image, "sysd", "sleep", "1000").ok()
    try:
        equal(str(64 * MIB), show("ctr-sysd.scope", "MemoryMax"))
        equal("hi", run("ctr", "task", "exec", "--exec-id", "e", "sysd", "echo", "hi").ok().out.strip())
        need("memory" in run("ctr", "task", "metrics", "sysd").ok().out, "metrics")
    finally:
        run("ctr", "task", "rm", "-f", "sysd")
        run("ctr", "container", "rm", "sysd")
    until(lambda: not loaded("ctr-sysd.scope"), "the scope's end")


@test("docker with the systemd driver")
def _():
    if not shutil.which("dockerd"):
        raise Skip("no docker")
    drop_in = "/run/systemd/system/docker.service.d"
    os.makedirs(drop_in, exist_ok=True)
    with open(drop_in + "/coracle.conf", "w") as file:
        file.write("[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd -H fd:// "
                   "--containerd=/run/containerd/containerd.sock --add-runtime coracle=%s "
                   "--exec-opt native.cgroupdriver=systemd\n" % CORACLE)
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    subprocess.run(["systemctl", "restart", "docker"], check=True)
    try:
        run("docker", "run", "-d", "--runtime", "coracle", "--name", "sysd", "--network", "none",
            "--memory", "64m", "--pids-limit", "40", "--cpus", "0.5", IMAGE, "sleep", "1000").ok()
        container = run("docker", "inspect", "-f", "{{.Id}}", "sysd").ok().out.strip()
        unit = "docker-%s.scope" % container
        equal(str(64 * MIB), show(unit, "MemoryMax"))
        equal("40", show(unit, "TasksMax"))
        equal("500ms", show(unit, "CPUQuotaPerSecUSec"))
        equal("hi", run("docker", "exec", "sysd", "echo", "hi").ok().out.strip())
        run("docker", "update", "--memory", "80m", "--memory-swap", "160m", "sysd").ok()
        equal(str(80 * MIB), show(unit, "MemoryMax"))
        run("docker", "pause", "sysd").ok()
        run("docker", "unpause", "sysd").ok()
        run("docker", "stats", "--no-stream", "sysd").ok()
    finally:
        run("docker", "rm", "-f", "sysd")
        os.unlink(drop_in + "/coracle.conf")
        subprocess.run(["systemctl", "daemon-reload"], check=True)
        subprocess.run(["systemctl", "stop", "docker.service", "docker.socket"], check=False)
    until(lambda: not loaded(unit), "the scope's end")


# ---- main ----------------------------------------------------------------------------------------

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


def main():
    global CORACLE, FAULTSTEP, KILL_POINTS
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("coracle")
    parser.add_argument("--faultstep")
    parser.add_argument("--kill-points", default="5,20,40,60,70,80,90,100,110,120,130,140,150,160,180,200")
    parser.add_argument("parts", nargs="*")
    options = parser.parse_intermixed_args()
    # Engines and ordinary users execute it, perhaps out of reach of this folder.
    CORACLE = "/usr/local/bin/coracle"
    shutil.copy(options.coracle, CORACLE)
    os.chmod(CORACLE, 0o755)
    FAULTSTEP = options.faultstep
    KILL_POINTS = [int(number) for number in options.kill_points.split(",")]
    chosen = [one for one in TESTS if not options.parts or any(p in one[0] for p in options.parts)]
    print("1..%d" % len(chosen))
    failed = 0
    for number, (name, function) in enumerate(chosen, 1):
        begin = time.monotonic()
        verdict, tail, words = try_one(function)
        failed += verdict != "ok"
        print("%s %d - %s%s" % (verdict, number, name, tail))
        for line in words.splitlines():
            print("#   " + line)
        print("#   %.1f s" % (time.monotonic() - begin), flush=True)
    shutil.rmtree(PLACE, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    sys.exit(main())
