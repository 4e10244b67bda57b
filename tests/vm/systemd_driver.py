"""The systemd driver by itself: create, delete, update, devices, annotations, ownership."""
import json
import os
import re
import shutil
import subprocess

from systemd_box import (CGROUPS, CORACLE, MIB, PLACE, ROOTFS, Box, Skip, equal, loaded, need,
                         programs, read, run, show, test, until)

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
    box = Box(["sleep", "1000"], pids={"limit": 0})
    box.config["ociVersion"] = "1.3.0"
    box.up()
    equal("1", box.file("pids.max"))  # none but the container's process itself
    box.delete()
    for version, limit in (("1.2.0", 0), ("1.2.0", -1), ("1.3.0", -1)):
        box = Box(["sleep", "1000"], pids={"limit": limit})
        box.config["ociVersion"] = version
        box.make().ok()
        equal("infinity", show(box.unit, "TasksMax"), "%s, limit %d" % (version, limit))
        equal("max", box.file("pids.max"))
        box.delete()


@test("little memory: a container of 2 MiB runs; one that runs out says so")
def _():
    Box(["true"], memory={"limit": 2 * MIB}).make("run").ok()
    box = Box(["tail", "-c", "100000000", "/dev/zero"], memory={"limit": 16 * MIB, "swap": 16 * MIB})
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


@test("a cgroup that is there already: refused if in use or frozen, and left as it is")
def _():
    box = Box()
    os.makedirs(box.cgroup)
    with open(box.cgroup + "/cgroup.freeze", "w", encoding="ascii") as file:
        file.write("1")
    for command in ("create", "run"):
        box.make(command, timeout=60).fails("container's cgroup unexpectedly frozen")
        need(not loaded(box.unit), "no unit")
        equal("1", box.file("cgroup.freeze"))
    with open(box.cgroup + "/cgroup.freeze", "w", encoding="ascii") as file:
        file.write("0")
    box.up()
    second = Box()
    second.linux["cgroupsPath"] = box.linux["cgroupsPath"]
    for command in ("create", "run"):
        second.make(command).fails("container's cgroup is not empty")
    equal([str(box.state()["pid"])], box.file("cgroup.procs").split(), "who is in the cgroup")
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


@test("update: what is idle no more does not become idle again")
def _():
    box = Box(cpu={"shares": 512}).up()
    run(CORACLE, "update", "--cpu-idle", "1", box.id).ok()
    equal("1", box.file("cpu.idle"))
    run(CORACLE, "update", "--cpu-idle", "0", box.id).ok()
    for _ in range(2):
        equal(("0", "100", "100"),
              (box.file("cpu.idle"), box.file("cpu.weight"), show(box.unit, "CPUWeight")))
        run(CORACLE, "update", "--cpu-quota", "50000", box.id).ok()
    box.delete()


# ---- devices -------------------------------------------------------------------------------------

@test("device rules outlive systemctl daemon-reload, also in between")
def _():
    # Nodes that whoever has them may open, but for the device rules.
    box = Box(devices=[{"allow": False, "access": "rwm"},
                       {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rw"}])
    box.linux["devices"] = [{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229},
                            {"path": "/dev/loop-control", "type": "c", "major": 10, "minor": 237}]
    box.config["process"]["args"] = [
        "sh", "-c", "while :; do : < /dev/fuse || : > /seen/lost; "
        "(: < /dev/loop-control) 2>/dev/null && : > /seen/leak; : > /seen/round; "
        "usleep 20000; done"]
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
    equal("refused", box.exec("sh", "-c", "(: < /dev/loop-control) 2>/dev/null || echo refused")
          .ok().out.strip())
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


@test("the unit ends as its annotations say: KillSignal by systemctl stop")
def _():
    box = Box(["sh", "-c", "trap 'echo > /run/told; exit 0' USR1; while :; do sleep 0.1; done"])
    box.config["annotations"] = {"org.systemd.property.KillSignal": "10",
                                 "org.systemd.property.TimeoutStopUSec": "uint64 90000000"}
    box.config["mounts"].append({"destination": "/run", "type": "bind", "source": box.bundle,
                                 "options": ["bind"]})
    box.up()
    subprocess.run(["systemctl", "stop", box.unit], check=True)
    until(lambda: box.state()["status"] == "stopped", "stopped")
    need(os.path.exists(box.bundle + "/told"), "the container did not get SIGUSR1")
    box.do("delete").ok()
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
