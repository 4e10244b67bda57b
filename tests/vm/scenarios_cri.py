"""containerd with coracle's own shim (ctr run --runtime io.containerd.coracle.v2) and by its CRI
plugin, as a kubelet uses it; the peers by runc's shim. Pods are in the host's network."""
import os
import re
import shutil
import sys

from scenario import ROOTFS, equal, fail, read, scenario

TESTS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "integration")
SOCKET = "/run/containerd/containerd.sock"
CONFIG = "/etc/containerd/config.toml"
LOGS = "/var/log/coracle-pods"
CRI = 'plugins."io.containerd.grpc.v1.cri"'
SHELL = ("sh", "-c")


def tests():
    """The integration tests' kubelet and image maker."""
    if TESTS not in sys.path:
        sys.path.append(TESTS)
    import containerd
    import cri
    import shim
    return containerd, cri, shim


def runtimes():
    """The table of every runtime with cgroupfs (fs) and with systemd (sd)."""
    text = ""
    for driver, systemd in (("fs", "false"), ("sd", "true")):
        table = '[%s.containerd.runtimes.%%s-%s%%s]\n' % (CRI, driver)
        text += table % ("coracle", "") + 'runtime_type = "io.containerd.coracle.v2"\n'
        text += table % ("coracle", ".options") + (
            'TypeUrl = "runtimeoptions.v1.Options"\nConfigPath = "/etc/containerd/coracle-%s"\n' %
            driver)
        with open("/etc/containerd/coracle-" + driver, "w", encoding="ascii") as file:
            file.write("SystemdCgroup = %s\n" % systemd)
        for peer in ("crun", "runc"):
            text += table % (peer, "") + 'runtime_type = "io.containerd.runc.v2"\n'
            text += table % (peer, ".options") + (
                'BinaryName = "%s"\nSystemdCgroup = %s\n' % (peer, systemd))
    return text


def node(t):
    """A kubelet for this machine's containerd, configured; made once for each runtime."""
    containerd, cri, _ = tests()
    if "kubelet" in t.shared:
        return t.shared["kubelet"]
    os.makedirs("/etc/containerd", exist_ok=True)
    shutil.rmtree(LOGS, ignore_errors=True)  # another runtime's pods have the same names
    os.makedirs(LOGS)
    if not os.path.exists(CONFIG + ".before"):
        t.sh("cp %s %s.before 2>/dev/null || touch %s.before" % (CONFIG, CONFIG, CONFIG)).ok()
    t.shared.setdefault("undo", []).append("mv %s.before %s; systemctl stop containerd" %
                                           (CONFIG, CONFIG))
    with open(CONFIG, "w", encoding="ascii") as file:
        file.write('version = 2\n[%s]\nsandbox_image = "%s"\n[%s.containerd]\n'
                   'default_runtime_name = "crun-fs"\n%s' % (CRI, containerd.IMAGE, CRI, runtimes()))
    containerd.make_image(ROOTFS, "/run/coracle-image.tar")
    t.sh("systemctl restart containerd").ok()
    for name in ("k8s.io", "default"):
        t.until("ctr -n %s images import /run/coracle-image.tar" % name, "unpacking|done|saved")
    kubelet = cri.Kubelet(SOCKET, LOGS)
    t.shared["kubelet"] = kubelet
    ready(t, kubelet)
    return kubelet


def ready(t, kubelet):
    for _ in range(100):
        if kubelet.is_ready():
            return
        t.sh("sleep 0.3")
    fail("CRI does not answer")


def pod(t, driver="fs", parent=""):
    """(kubelet, pod), taken away at the end."""
    kubelet = node(t)
    made = kubelet.run_pod("%s-%s" % (t.runtime, driver), parent)
    t.finally_do(lambda: kubelet.remove_pod(made))
    return kubelet, made


def until(t, condition, what):
    for _ in range(200):
        value = condition()
        if value:
            return value
        t.sh("sleep 0.2")
    return fail(what + " did not happen")


def cgroup_of(t, box):
    """The directory of a container's cgroup."""
    found = t.sh("find /sys/fs/cgroup -type d -name '*%s*'" % box).ok().out.split()
    equal(1, len(found), "cgroups named %s" % box)
    return found[0]


def options(t, systemd=False):
    """ctr's options for a runtime."""
    node(t)
    if t.runtime == "coracle":
        return "--runtime io.containerd.coracle.v2 --runtime-config-path /etc/containerd/coracle-%s" % (
            "sd" if systemd else "fs")
    return "--runc-binary BINARY" + (" --runc-systemd-cgroup" if systemd else "")


@scenario("shim", "ctr run: output, status, limits, metrics")
def _(t):
    name = t.name("shim")
    t.finally_sh("ctr task delete -f %s; ctr container delete %s" % (name, name))
    t.sh("ctr run --rm %s IMAGE:latest %s sh -c 'echo hello; exit 5'" %
         (options(t), name)).status_is(5).has("hello")
    t.sh("ctr run -d %s --memory-limit 67108864 --cpus 0.5 IMAGE:latest %s sleep 1000" %
         (options(t), name)).ok()
    equal("67108864", read("/sys/fs/cgroup/default/%s/memory.max" % name), "memory.max")
    t.sh("ctr task metrics " + name).ok().has("memory")
    t.sh("ctr task pause " + name).ok()
    t.sh("ctr task ls").has(name + r" +\d+ +PAUSED")
    t.sh("ctr task resume " + name).ok()
    t.sh("ctr task kill -s KILL " + name).ok()
    t.until("ctr task ls", name + r" +\d+ +STOPPED")


@scenario("shim", "ctr run with systemd's cgroups: a scope in the slice, gone with the container")
def _(t):
    name = t.name("shim")
    t.finally_sh("ctr task delete -f %s; ctr container delete %s" % (name, name))
    t.sh("ctr run -d %s --cgroup system.slice:coracle:%s --memory-limit 67108864 IMAGE:latest %s "
         "sleep 1000" % (options(t, True), name, name)).ok()
    unit = "coracle-%s.scope" % name
    t.sh("systemctl show -p ActiveState,Slice " + unit).has(
        "ActiveState=active", "Slice=system.slice")
    equal("67108864", read("/sys/fs/cgroup/system.slice/%s/memory.max" % unit), "memory.max")
    t.sh("ctr task exec --exec-id a %s sh -c 'echo in; exit 3'" % name).status_is(3).has("^in$")
    t.sh("ctr task kill -s KILL " + name).ok()
    t.until("ctr task ls", name + r" +\d+ +STOPPED")
    t.sh("ctr task delete " + name)
    t.until("systemctl is-active " + unit, "inactive")


@scenario("shim", "what is killed for want of memory is told of")
def _(t):
    name = t.name("shim")
    t.finally_sh("ctr task delete -f %s; ctr container delete %s" % (name, name))
    t.sh("timeout 60 ctr events > /run/coracle-events & sleep 1; ctr run --rm %s --memory-limit "
         "16777216 IMAGE:latest %s sh -c 'x=x; while true; do x=$x$x; done'; kill %%1" %
         (options(t), name)).status_is(0, 137)
    t.until("cat /run/coracle-events", "/tasks/oom.*" + name)


@scenario("cri", "a pod: run, exec, log, limits, stop, remove")
def _(t):
    _, cri, shim = tests()
    for driver, parent in (("fs", "/kubepods/pod1"), ("sd", "kubepods-pod1.slice")):
        kubelet, made = pod(t, driver, parent)
        resources = shim.enc(_1=100000, _2=50000, _3=512, _4=67108864)
        box = kubelet.run(made, "box-" + driver, [*SHELL, "echo out; echo err >&2; sleep 1000"],
                          resources=resources)
        where = cgroup_of(t, box)
        equal("67108864", read(where + "/memory.max"), "memory.max with " + driver)
        equal("50000 100000", read(where + "/cpu.max"), "cpu.max with " + driver)
        equal(driver == "sd", where.endswith(".scope"), "a scope")
        equal((3, "in\n", ""), kubelet.exec(box, *SHELL, "echo in; exit 3"), "exec")
        until(t, lambda: len(kubelet.log("box-" + driver)) == 2, "the log")  # pylint: disable=W0640
        kubelet.call("UpdateContainerResources",
                     shim.enc(_1=box, _2=shim.enc(_4=134217728)))
        equal("134217728", read(where + "/memory.max"), "memory.max after the update")
        kubelet.call("StopContainer", shim.enc(_1=box, _2=1))
        equal((cri.EXITED, 137), tuple(shim.one(kubelet.status(box), n) for n in (3, 7)), "status")
        kubelet.call("RemoveContainer", shim.enc(_1=box))
        equal("", t.sh("find /sys/fs/cgroup -name '*%s*'" % box).out, "cgroups left")


@scenario("cri", "what is killed for want of memory: OOMKilled")
def _(t):
    _, cri, shim = tests()
    kubelet, made = pod(t)
    box = kubelet.run(made, "hungry", [*SHELL, "x=x; while true; do x=$x$x; done"],
                      resources=shim.enc(_4=16777216))
    until(t, lambda: kubelet.state(box) == cri.EXITED, "its end")
    status = kubelet.status(box)
    equal((137, "OOMKilled"), (shim.one(status, 7), shim.text(status, 10)), "status")


@scenario("cri", "statistics: cpu and memory")
def _(t):
    _, _, shim = tests()
    kubelet, made = pod(t)
    box = kubelet.run(made, "box", [*SHELL, "i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done; sleep "
                                    "1000"])

    def used(field):
        stats = shim.dec(shim.one(kubelet.call("ContainerStats", shim.enc(_1=box)), 1))
        value = shim.dec(shim.one(shim.dec(shim.one(stats, field, b"")), 2, b""))
        return shim.one(value, 1)
    until(t, lambda: used(2) > 1000000, "a millisecond of CPU time")
    until(t, lambda: used(3) > 4096, "a page of memory")


@scenario("cri", "a user of its own may open /dev/stdout again")
def _(t):
    _, cri, shim = tests()
    kubelet, made = pod(t)
    who = shim.enc(_5=shim.enc(_1=1000), _3=shim.enc(_1=cri.NODE, _2=1))
    box = kubelet.create(made, "user", [*SHELL, "echo again > /proc/self/fd/1; id -u"],
                         security=who)
    kubelet.call("StartContainer", shim.enc(_1=box))
    until(t, lambda: kubelet.state(box) == cri.EXITED, "its end")
    equal([("stdout", "again"), ("stdout", "1000")], kubelet.log("user"), "log")


@scenario("cri", "containerd killed: the pod goes on, and what ended meanwhile is told")
def _(t):
    _, cri, shim = tests()
    kubelet, made = pod(t, "sd", "kubepods-pod2.slice")
    stays = kubelet.run(made, "stays", ["sleep", "1000"])
    ends = kubelet.run(made, "ends", [*SHELL, "sleep 3; exit 7"])
    t.sh("kill -9 $(systemctl show -p MainPID --value containerd); sleep 4").ok()
    t.until("systemctl is-active containerd", "^active")
    ready(t, kubelet)
    equal(cri.RUNNING, kubelet.state(stays), "state")
    until(t, lambda: kubelet.state(ends) == cri.EXITED, "the end of the other")
    equal(7, shim.one(kubelet.status(ends), 7), "exit code")
    equal((0, "in\n", ""), kubelet.exec(stays, "echo", "in"), "exec")


@scenario("cri", "nothing is left of pods: no process, cgroup, mount, state", only=("coracle",))
def _(t):
    kubelet, made = pod(t)
    kubelet.run(made, "box", ["sleep", "1000"])
    kubelet.remove_pod(made)
    t.until("pgrep -cf 'containerd-shim-[c]oracle' || true", "^0$")
    if re.search("k8s.io.*rootfs", t.sh("cat /proc/self/mountinfo").out):
        fail("mounts are left")
    equal("", t.sh("ls -A /run/containerd/coracle/k8s.io | grep -v '^[.]'").out, "state")
