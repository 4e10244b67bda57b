"""The runtime by itself, with every controller of a real host. Cheap: no engine in between."""
import json
import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import bundle as b  # noqa: E402  (the integration tests' config.json)
from scenario import ROOTFS, Failure, equal, read, scenario  # noqa: E402

MIB = 1 << 20


class Box:
    """A bundle of its own, below /run; removed with the container at the scenario's end."""

    def __init__(self, t, args, manager=None):
        self.t, self.id = t, t.name("box")
        self.folder = "/run/vm-scenarios/" + self.id
        os.makedirs(self.folder)
        self.bundle = b.Bundle(self.folder + "/b", self.id, args)
        self.config = self.bundle.config
        self.config["root"] = {"path": ROOTFS, "readonly": True}
        self.resources = self.config["linux"]["resources"]
        self.options = "--systemd-cgroup" if manager == "systemd" else ""
        if manager == "systemd":
            self.config["linux"]["cgroupsPath"] = "system.slice:vm:" + self.id
        self.cgroup = "/sys/fs/cgroup/" + self.id
        t.undo.append("rm -rf " + self.folder)
        t.undo.append("BINARY delete --force " + self.id)

    def do(self, verb, rest="", **more):
        return self.t.sh("BINARY %s %s %s" % (self.options, verb, rest), **more)

    def create(self):
        self.bundle.write()
        # A container that stays must not hold the pipes that the scenario reads.
        out = self.folder + "/out"
        result = self.do("create", "--bundle %s %s > %s 2>&1 < /dev/null; s=$?; cat %s; exit $s" %
                         (self.bundle.path, self.id, out, out))
        return result

    def run(self, **more):
        self.bundle.write()
        return self.do("run", "--bundle %s %s" % (self.bundle.path, self.id), **more)

    def start(self):
        return self.do("start", self.id)

    def value(self, name):
        return read(os.path.join(self.cgroup, name))

    def values(self, **wanted):
        """memory_max="1": the file memory.max holds 1."""
        for name, want in wanted.items():
            file = name.replace("_", ".", 1) if name != "cpu_max_burst" else "cpu.max.burst"
            equal(want, self.value({"memory.swap_max": "memory.swap.max",
                                    "memory.oom_group": "memory.oom.group",
                                    "cpuset.cpus_effective": "cpuset.cpus.effective"}.get(file, file)),
                  file)


def created(t, **resources):
    """A created container that would sleep, with these resources."""
    box = Box(t, ["sleep", "1000"])
    box.resources.update(resources)
    box.create().ok()
    return box


@scenario("direct", "runs, gives the status")
def _(t):
    box = Box(t, ["sh", "-c", "echo hello; exit 7"])
    result = box.run().status_is(7)
    equal("hello\n", result.out, "output")


@scenario("direct", "memory: limit, reservation, swap")
def _(t):
    box = created(t, memory={"limit": 64 * MIB, "reservation": 32 * MIB, "swap": 96 * MIB})
    box.values(memory_max=str(64 * MIB), memory_low=str(32 * MIB), memory_swap_max=str(32 * MIB))


@scenario("direct", "memory: unlimited swap, no limit")
def _(t):
    created(t, memory={"limit": 64 * MIB, "swap": -1}).values(memory_swap_max="max")
    created(t, memory={"limit": -1}).values(memory_max="max")


@scenario("direct", "unified: memory.high, memory.min, memory.oom.group, cpu.weight, pids.max")
def _(t):
    box = created(t, unified={"memory.high": str(48 * MIB), "memory.min": str(4 * MIB),
                              "memory.oom.group": "1", "cpu.weight": "250", "pids.max": "33"})
    box.values(memory_high=str(48 * MIB), memory_min=str(4 * MIB), memory_oom_group="1",
               cpu_weight="250", pids_max="33")


@scenario("direct", "unified: an unknown file is refused")
def _(t):
    box = Box(t, ["true"])
    box.resources["unified"] = {"memory.nosuch": "1"}
    if box.create().status == 0:
        raise Failure("a container with unified memory.nosuch was made")


@scenario("direct", "cpu: shares, quota and period")
def _(t):
    box = created(t, cpu={"shares": 512, "quota": 30000, "period": 60000})
    box.values(cpu_max="30000 60000")
    weight = int(box.value("cpu.weight"))
    if not 10 < weight < 80:  # 20 with the old conversion from shares, 59 with the new one
        raise Failure("cpu.weight is %d" % weight)


@scenario("direct", "cpu: quota alone, period alone, -1")
def _(t):
    created(t, cpu={"quota": 40000}).values(cpu_max="40000 100000")
    created(t, cpu={"quota": -1}).values(cpu_max="max 100000")


@scenario("direct", "cpu: idle")
def _(t):
    created(t, cpu={"idle": 1}).values(cpu_idle="1")


@scenario("direct", "cpu: burst")
def _(t):
    box = created(t, cpu={"quota": 50000, "period": 100000, "burst": 20000})
    box.values(cpu_max="50000 100000", cpu_max_burst="20000")


@scenario("direct", "cpuset: cpus and mems")
def _(t):
    box = created(t, cpu={"cpus": "1", "mems": "0"})
    box.values(cpuset_cpus="1", cpuset_mems="0", cpuset_cpus_effective="1")


@scenario("direct", "pids: limit and -1")
def _(t):
    created(t, pids={"limit": 17}).values(pids_max="17")
    created(t, pids={"limit": -1}).values(pids_max="max")


@scenario("direct", "pids: the limit holds")
def _(t):
    box = Box(t, ["sh", "-c", "for i in 1 2 3 4 5 6 7 8; do sleep 5 & done; echo made all"])
    box.resources["pids"] = {"limit": 4}
    box.run().lacks("made all").has("fork")


@scenario("direct", "pids: 0 lets nothing but the container's process be", only=("coracle",))
def _(t):
    box = Box(t, ["true"])
    box.config["ociVersion"] = "1.3.0"  # before, it could not be left out, and 0 was none
    box.resources["pids"] = {"limit": 0}
    box.create().ok()
    box.values(pids_max="1")
    box.start().ok()


def disk():
    """major:minor of the disk that / lies on."""
    number = os.stat("/").st_dev
    return os.major(number), os.minor(number)


@scenario("direct", "io: throttle of a device")
def _(t):
    major, minor = disk()

    def rate(value):
        return [{"major": major, "minor": minor, "rate": value}]
    box = created(t, blockIO={"throttleReadBpsDevice": rate(10 * MIB),
                              "throttleWriteBpsDevice": rate(20 * MIB),
                              "throttleReadIOPSDevice": rate(100),
                              "throttleWriteIOPSDevice": rate(200)})
    equal("%d:%d rbps=%d wbps=%d riops=100 wiops=200" % (major, minor, 10 * MIB, 20 * MIB),
          box.value("io.max"), "io.max")


@scenario("direct", "hugetlb: limit of 2 MiB pages")
def _(t):
    box = created(t, hugepageLimits=[{"pageSize": "2MB", "limit": 4 * MIB}])
    equal(str(4 * MIB), box.value("hugetlb.2MB.max"), "hugetlb.2MB.max")


@scenario("direct", "io: weight")
def _(t):
    t.sh("modprobe -q bfq")
    box = created(t, blockIO={"weight": 300})
    values = [box.value(name) for name in ("io.weight", "io.bfq.weight")
              if os.path.exists(os.path.join(box.cgroup, name))]
    # The weights of OCI (10 to 1000) and of the kernel (1 to 10000) differ: 300 is 2930 of those.
    if not any(value in ("default 2930", "default 300") for value in values):
        raise Failure("the weights are %r" % values)


@scenario("direct", "hugetlb: reserved pages, and the limit holds")
def _(t):
    t.sh("echo 8 > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages").ok()
    t.finally_sh("echo 0 > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")
    box = Box(t, ["sh", "-c", "fallocate -l 4194304 /huge/a && echo two; fallocate -l 6291456 /huge/b "
                  "|| echo no more"])
    box.config["mounts"].append({"destination": "/huge", "type": "hugetlbfs", "source": "none",
                                 "options": ["pagesize=2M"]})
    box.resources["hugepageLimits"] = [{"pageSize": "2MB", "limit": 4 * MIB}]
    t.sh("cp -a %s %s/rootfs; mkdir %s/rootfs/huge" % (ROOTFS, box.folder, box.folder)).ok()
    box.config["root"] = {"path": box.folder + "/rootfs"}
    box.run().has("^two$", "^no more$")


@scenario("direct", "rdma: a limit of a device that is not there is refused by its name", only=("coracle",))
def _(t):
    box = Box(t, ["true"])
    box.resources["rdma"] = {"nosuch0": {"hcaHandles": 3, "hcaObjects": 100}}
    box.create().status_is(1).has("rdma", "nosuch0")


@scenario("direct", "zero and empty resources ask for nothing")
def _(t):
    box = created(t, memory={}, cpu={"shares": 0, "quota": 0, "period": 0}, blockIO={"weight": 0})
    box.values(cpu_max="max 100000", cpu_weight="100")


@scenario("direct", "a limit of 2 MiB: the container starts", only=("coracle",))
def _(t):
    box = Box(t, ["true"])
    box.resources["memory"] = {"limit": 2 * MIB - 4096, "swap": 2 * MIB - 4096}
    box.run().ok()


@scenario("direct", "a limit of 8 MiB: the container starts")
def _(t):
    box = Box(t, ["true"])
    box.resources["memory"] = {"limit": 8 * MIB, "swap": 8 * MIB}
    box.run().ok()


@scenario("direct", "an OOM kill during create is named", only=("coracle",))
def _(t):
    box = Box(t, ["true"])
    box.resources["memory"] = {"limit": 16384, "swap": 16384}
    box.create().status_is(1).has("memory")


@scenario("direct", "an OOM kill of the container's process ends it with 137")
def _(t):
    box = Box(t, ["sh", "-c", "x=a; while :; do x=$x$x; done"])
    box.resources["memory"] = {"limit": 16 * MIB, "swap": 16 * MIB}
    box.run().status_is(137)


@scenario("direct", "update: memory, cpu, pids, cpuset of a running container")
def _(t):
    box = created(t, memory={"limit": 64 * MIB})
    box.start().ok()
    box.do("update", "--memory 83886080 --memory-swap 125829120 --cpu-quota 20000 --cpu-period "
           "50000 --pids-limit 20 --cpuset-cpus 0 " + box.id).ok()
    box.values(memory_max="83886080", memory_swap_max=str(40 * MIB), cpu_max="20000 50000",
               pids_max="20", cpuset_cpus="0")


@scenario("direct", "update from standard input: {} changes nothing")
def _(t):
    box = created(t, memory={"limit": 64 * MIB}, pids={"limit": 9})
    box.do("update", "--resources - " + box.id, stdin="{}").ok()
    box.values(memory_max=str(64 * MIB), pids_max="9")


@scenario("direct", "pause and resume")
def _(t):
    box = created(t)
    box.start().ok()
    box.do("pause", box.id).ok()
    box.do("state", box.id).has('"status": *"paused"')
    equal("1", box.value("cgroup.freeze"), "cgroup.freeze")
    box.do("resume", box.id).ok()
    box.do("state", box.id).has('"status": *"running"')


@scenario("direct", "device rules: a device that is not listed cannot be opened")
def _(t):
    box = Box(t, ["sh", "-c", "cat /dev/null && echo null; dd if=/dev/kmsg2 of=/dev/null count=0 "
                  "2>&1; dd if=/dev/rnd of=/dev/null count=1 2> /dev/null && echo rnd"])
    box.config["linux"]["devices"] = [
        {"path": "/dev/kmsg2", "type": "c", "major": 1, "minor": 11, "fileMode": 0o666},
        {"path": "/dev/rnd", "type": "c", "major": 1, "minor": 8, "fileMode": 0o666}]
    box.resources["devices"] = [{"allow": False, "access": "rwm"},
                                {"allow": True, "type": "c", "major": 1, "minor": 8,
                                 "access": "r"}]
    box.run().has("^null$", "^rnd$", "kmsg2.*not permitted")


@scenario("direct", "all capabilities, raised limits, oom_score_adj below the caller's")
def _(t):
    box = Box(t, ["sh", "-c", "grep CapEff /proc/self/status; ulimit -n; cat "
                  "/proc/self/oom_score_adj"])
    everything = [line.split()[0] for line in t.sh("capsh --decode=$(sed -n 's/CapBnd:.//p' "
                  "/proc/self/status) | sed 's/.*=//' | tr ',' '\\n'").out.upper().split()]
    box.config["process"]["capabilities"] = b.cap_sets(everything)
    box.config["process"]["rlimits"] = [{"type": "RLIMIT_NOFILE", "hard": 1048576,
                                         "soft": 1048576}]
    box.config["process"]["oomScoreAdj"] = -500
    box.run().ok().has("CapEff:\t" + t.sh("sed -n 's/CapBnd:.//p' /proc/self/status").out.strip(),
                       "^1048576$", "^-500$")


@scenario("direct", "delegation: the container manages its own cgroup")
def _(t):
    box = Box(t, ["sh", "-c", "cd /sys/fs/cgroup && mkdir me sub && echo $$ > me/cgroup.procs && "
                  "echo +pids > cgroup.subtree_control && echo 5 > sub/pids.max && "
                  "cat sub/pids.max"])
    for mount in box.config["mounts"]:
        if mount["type"] == "cgroup":
            mount["options"].remove("ro")
    b.user_namespace(box.config)
    box.resources["pids"] = {"limit": 50}
    box.run().prints("5")


@scenario("direct", "the cgroup goes with the container, and what it made inside too")
def _(t):
    box = created(t)
    box.start().ok()
    os.makedirs(box.cgroup + "/a/b")
    box.do("kill", box.id + " KILL").ok()
    t.until("BINARY state " + box.id, "stopped")
    box.do("delete", box.id).ok()
    if os.path.exists(box.cgroup):
        raise Failure(box.cgroup + " is still there")


@scenario("direct", "ps and events see the real numbers")
def _(t):
    box = created(t, memory={"limit": 64 * MIB})
    box.start().ok()
    listed = json.loads(box.do("ps", "--format json " + box.id).ok().out)
    equal(1, len(listed), "processes of " + box.id)


@scenario("direct", "events --stats: usage and limits", only=("coracle", "runc"))
def _(t):
    box = created(t, memory={"limit": 64 * MIB}, pids={"limit": 21})
    box.start().ok()
    data = json.loads(box.do("events", "--stats " + box.id).ok().out)["data"]
    equal(64 * MIB, data["memory"]["usage"]["limit"], "memory limit")
    equal(21, data["pids"]["limit"], "pids limit")
    if not data["memory"]["usage"]["usage"] > 0 or not data["cpu"]["usage"]["total"] > 0:
        raise Failure("no usage in %r" % data)


@scenario("direct", "an ordinary user with a delegated cgroup: limits and pause",
          only=("coracle", "runc"))
def _(t):
    folder = "/home/tester/" + t.name("bundle")
    shutil.rmtree(folder, ignore_errors=True)
    t.sh("as-user sh -c 'mkdir -p %s/rootfs && cp -a %s/. %s/rootfs/'" %
         (folder, ROOTFS, folder)).ok()
    t.finally_sh("rm -rf " + folder)
    t.sh("as-user sh -c 'cd %s && BINARY spec --rootless'" % folder).ok()
    with open(folder + "/config.json", encoding="utf-8") as file:
        config = json.load(file)
    config["process"].update(args=["cat", "/proc/self/cgroup"], terminal=False)
    config["linux"]["resources"] = {"pids": {"limit": 30}}
    with open(folder + "/config.json", "w", encoding="utf-8") as file:
        json.dump(config, file)
    t.sh("as-user sh -c 'cd %s && exec BINARY run %s'" % (folder, t.name("user"))).ok()


@scenario("direct", "a system container: systemd boots, runs a unit, and stops at SIGRTMIN+3")
def _(t):
    box = Box(t, ["/lib/systemd/systemd", "--unit=basic.target"])
    root = box.folder + "/root"
    t.sh("mkdir -p {0} {1}/u {1}/w && mount -t overlay o -o lowerdir=/,upperdir={1}/u,workdir={1}/w "
         "{0}".format(root, "/var/tmp/" + box.id)).ok()
    # Undone in the reverse order; what is mounted must be gone before anything is removed.
    for command in ("rm -rf /var/tmp/" + box.id, "umount " + root, "BINARY delete --force " + box.id):
        t.finally_sh(command)
    box.config["root"] = {"path": root}
    box.config["process"]["env"].append("container=oci")
    box.config["process"]["capabilities"] = b.cap_sets(
        [word.strip().upper() for word in SYSTEM_CAPABILITIES.split()])
    box.config["mounts"] = [m for m in box.config["mounts"] if m["destination"] != "/run"]
    for mount in box.config["mounts"]:
        if mount["type"] == "cgroup":
            mount["options"] = ["nosuid", "noexec", "nodev", "relatime"]
    for place in ("/run", "/tmp"):
        box.config["mounts"].append({"destination": place, "type": "tmpfs", "source": "tmpfs",
                                     "options": ["nosuid", "nodev", "mode=755"]})
    box.config["linux"]["maskedPaths"] = box.config["linux"]["readonlyPaths"] = []
    box.create().ok()
    box.start().ok()
    t.until("BINARY exec %s systemctl is-active basic.target" % box.id, "^active", 120)
    box.do("exec", "%s systemd-run --quiet --wait -p MemoryMax=64M true" % box.id).ok()
    box.do("kill", box.id + " 37").ok()
    t.until("BINARY state " + box.id, "stopped", 120)


SYSTEM_CAPABILITIES = """CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID CAP_SETUID
CAP_SETPCAP CAP_NET_BIND_SERVICE CAP_SYS_CHROOT CAP_MKNOD CAP_AUDIT_WRITE CAP_SETFCAP CAP_SYS_ADMIN
CAP_SYS_PTRACE CAP_SYS_RESOURCE CAP_SYS_NICE CAP_NET_ADMIN CAP_DAC_READ_SEARCH"""
