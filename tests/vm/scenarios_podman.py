"""Podman as root: the life of a container, exec, streams, terminals, health, pods."""
import json
import os
import signal
import time

from scenario import equal, scenario
from scenario_terminal import Terminal

NONET = "--network none"


LOOP = """trap 'echo got USR1' USR1; trap 'echo bye; exit 3' TERM; echo out; echo err >&2
while :; do sleep 1; done"""


def looper(t):
    """One container for the scenarios that only look into it or run something beside it."""
    if "looper" not in t.shared:
        name = t.name("loop")
        t.shared.setdefault("undo", []).append("podman rm -f -t 0 " + name)
        t.podman("run -d %s --name %s --tmpfs /var IMAGE sh -c \"%s\"" % (NONET, name, LOOP)).ok()
        t.shared["looper"] = name
    return t.shared["looper"]


@scenario("podman", "run: output, errors, status")
def _(t):
    result = t.podman("run --rm %s IMAGE sh -c 'echo hello; echo bad >&2; exit 7'" % NONET)
    result.status_is(7)
    equal("hello\n", result.out, "standard output")
    equal("bad\n", result.err, "standard error")


@scenario("podman", "run: limits are in the cgroup")
def _(t):
    t.podman("run --rm %s --memory 64m --memory-swap 96m --memory-reservation 32m --cpus 0.5 "
             "--cpu-shares 512 --cpuset-cpus 0 --pids-limit 50 IMAGE sh -c 'cd /sys/fs/cgroup; cat "
             "memory.max memory.swap.max memory.low cpu.max cpuset.cpus pids.max'" % NONET).prints(
                 "67108864\n33554432\n33554432\n50000 100000\n0\n50")


@scenario("podman", "cgroupfs manager: limits, exec, pause, stop")
def _(t):
    name, t.manager = t.name(), "cgroupfs"
    t.finally_sh("podman rm -f -t 0 " + name)
    t.podman("run -d %s --name %s --memory 64m --pids-limit 50 IMAGE sleep 1000" %
             (NONET, name)).ok()
    t.podman("exec %s cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max" % name).prints(
        "67108864\n50")
    t.podman("pause " + name).ok()
    t.podman("unpause " + name).ok()
    t.podman("stop -t 0 " + name).ok()


@scenario("podman", "the systemd manager: a scope, which goes with the container")
def _(t):
    name = t.name()
    t.finally_sh("podman rm -f -t 0 " + name)
    t.podman("run -d %s --name %s --memory 64m IMAGE sleep 1000" % (NONET, name)).ok()
    scope = "libpod-%s.scope" % t.podman("inspect -f '{{.Id}}' " + name).ok().line()
    t.sh("systemctl show -p MemoryMax,ActiveState,Slice " + scope).has(
        "MemoryMax=67108864", "ActiveState=active", "Slice=machine.slice")
    t.sh("systemctl daemon-reload").ok()
    t.podman("exec %s sh -c 'cat /dev/null; cat /sys/fs/cgroup/memory.max'" % name).prints(
        "67108864")
    t.podman("rm -f -t 0 " + name).ok()
    t.sh("systemctl show -p LoadState,ActiveState " + scope).has("inactive")


@scenario("podman", "ps, logs, inspect of a detached container")
def _(t):
    name = looper(t)
    t.podman("ps --filter name=" + name).ok().has(name, "Up ")
    t.podman("logs " + name).ok().has("^out$", "^err$")
    state = json.loads(t.podman("inspect " + name).ok().out)[0]
    equal("running", state["State"]["Status"], "status")
    equal(t.runtime, state["OCIRuntime"], "runtime")


@scenario("podman", "exec: statuses, user, folder, environment")
def _(t):
    name = looper(t)
    t.podman("exec %s sh -c 'exit 9'" % name).status_is(9)
    t.podman("exec -u 1000:5 -w /tmp -e A=b %s sh -c 'id -u; id -g; pwd; echo $A'" % name).prints(
        "1000\n5\n/tmp\nb")


@scenario("podman", "exec: missing command 127, folder 126")
def _(t):
    name = looper(t)
    t.podman("exec %s nosuch" % name).status_is(127)
    t.podman("exec %s /etc" % name).status_is(126)


@scenario("podman", "exec -i: bytes go in and come back")
def _(t):
    t.podman("exec -i %s md5sum" % looper(t), stdin="x" * 300000).ok().has(
        "ed32bd5efe32c71d8d5d7d0ddd9e07ba|^[0-9a-f]{32} ")


@scenario("podman", "exec -d: runs on by itself")
def _(t):
    name = looper(t)
    t.podman("exec -d %s sh -c 'echo done > /var/detached; sleep 77'" % name).ok()
    t.until("podman top %s args" % name, "sleep 77")


@scenario("podman", "exec --privileged: every capability")
def _(t):
    everything = t.sh("sed -n 's/CapBnd:.//p' /proc/self/status").out.strip()
    t.podman("exec --privileged %s grep CapEff /proc/self/status" % looper(t)).has(everything)


@scenario("podman", "exec --preserve-fds: that descriptor and no other")
def _(t):
    t.sh("echo data > /run/fdfile; exec 3< /run/fdfile; podman %s exec --preserve-fds 1 %s sh -c "
         "'cat <&3; ls /proc/self/fd'" % (t.podman_options(), looper(t))).prints(
             "data\n0\n1\n2\n3\n4")


@scenario("podman", "top, stats")
def _(t):
    name = looper(t)
    t.podman("top %s pid args" % name).ok().has("sleep|sh -c")
    t.podman("stats --no-stream " + name).ok().has(name, r"[1-9][0-9.]*[kM]B /")


@scenario("podman", "update: memory, cpus")
def _(t):
    name = looper(t)
    t.podman("update --memory 100m --cpus 0.7 " + name).ok()
    t.podman("exec %s cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max" % name).prints(
        "104857600\n70000 100000")


@scenario("podman", "pause, exec refused, unpause")
def _(t):
    name = looper(t)
    t.podman("pause " + name).ok()
    t.podman("ps -a --filter name=" + name).has("Paused")
    t.podman("exec %s true" % name).status_is(255).has("improper")
    t.podman("unpause " + name).ok()
    t.podman("exec %s true" % name).ok()


@scenario("podman", "kill: a signal reaches the command")
def _(t):
    name = looper(t)
    t.podman("kill -s USR1 " + name).ok()
    t.until("podman logs " + name, "got USR1")


@scenario("podman", "exec -it: terminal and its size")
def _(t):
    terminal = Terminal(t, "podman %s exec -it %s sh" % (t.podman_options(), looper(t)), 30, 111)
    terminal.until("# ")
    terminal.ask("tty", "/dev/pts/[0-9]+")
    terminal.ask("stty size", "30 111")
    terminal.type("exit 4\n")
    equal(4, terminal.status(), "status")


@scenario("podman", "attach: what it prints from now on; attach ends with the container")
def _(t):
    name = t.name()
    t.finally_sh("podman rm -f -t 0 " + name)
    t.podman("run -d %s --name %s IMAGE sh -c 'while [ ! -e /go ]; do echo tick; sleep 0.3; "
             "done; exit 6'" % (NONET, name)).ok()
    attached = Terminal(t, "podman attach --sig-proxy=false " + name)
    attached.until("tick")
    t.podman("exec %s touch /go" % name).ok()
    attached.status()
    t.podman("wait " + name).prints("6")


@scenario("podman", "stop with a trap: its status; start again; restart")
def _(t):
    name = t.name()
    t.finally_sh("podman rm -f -t 0 " + name)
    t.podman("create %s --name %s IMAGE sh -c \"%s\"" % (NONET, name, LOOP)).ok()
    t.podman("start " + name).ok()
    t.until("podman logs " + name, "out")
    t.podman("stop -t 20 " + name).ok()
    t.podman("inspect -f '{{.State.ExitCode}} {{.State.Status}}' " + name).prints("3 exited")
    t.podman("restart -t 0 " + name).ok()
    t.podman("inspect -f '{{.State.Status}}' " + name).prints("running")


@scenario("podman", "an ended container: kill, exec, pause refused; stop, rm work")
def _(t):
    name = t.name()
    t.finally_sh("podman rm -f -t 0 " + name)
    t.podman("run --name %s %s IMAGE true" % (name, NONET)).ok()
    t.podman("kill " + name).status_is(125).has("can only kill running containers")
    t.podman("exec %s true" % name).status_is(255)
    t.podman("pause " + name).status_is(125)
    t.podman("rm " + name).ok()


@scenario("podman", "run -it: terminal, size, resize, ^C, status")
def _(t):
    name = t.name()
    t.finally_sh("podman rm -f -t 0 " + name)
    terminal = Terminal(t, "podman %s run -it %s --name %s IMAGE sh" %
                        (t.podman_options(), NONET, name), 31, 99)
    terminal.until("# ")
    terminal.ask("tty", "/dev/pts/0")
    terminal.ask("stty size", "31 99")
    terminal.resize(40, 120)
    os.killpg(terminal.child.pid, signal.SIGWINCH)
    terminal.ask("stty size", "40 120")
    terminal.type("sleep 100\n")
    time.sleep(2)
    terminal.type("\x03")
    terminal.type("echo status $?\n")
    terminal.until("status 130")
    terminal.type("exit 5\n")
    equal(5, terminal.status(), "status")


@scenario("podman", "run -it: detach by keys, attach again")
def _(t):
    name = t.name()
    t.finally_sh("podman rm -f -t 0 " + name)
    terminal = Terminal(t, "podman %s run -it %s --name %s IMAGE sh" %
                        (t.podman_options(), NONET, name))
    terminal.until("# ")
    # Podman takes the keys for its own only if each comes by itself, as fingers are slow.
    terminal.type("\x10")
    time.sleep(2)
    terminal.type("\x11")
    equal(0, terminal.status(), "status after detaching")
    t.podman("ps --filter name=" + name).has("Up ")
    again = Terminal(t, "podman %s attach %s" % (t.podman_options(), name))
    again.ask("echo a''gain", "again")
    again.type("exit 0\n")
    again.status()


@scenario("podman", "run -i: a megabyte through, byte for byte")
def _(t):
    t.sh("head -c 1000000 /dev/urandom > /run/in; podman %s run --rm -i %s IMAGE cat < /run/in > "
         "/run/out; cmp /run/in /run/out" % (t.podman_options(), NONET)).ok()


@scenario("podman", "run --preserve-fds")
def _(t):
    t.sh("echo one > /run/f1; exec 3< /run/f1 4< /run/f1; podman %s run --rm %s --preserve-fds 2 "
         "IMAGE sh -c 'cat <&3; ls /proc/self/fd'" % (t.podman_options(), NONET)).prints(
             "one\n0\n1\n2\n3\n4\n5")


@scenario("podman", "out of memory: 137; the monitor notices a process that was killed")
def _(t):
    name = t.name()
    t.finally_sh("podman rm -f -t 0 %s; rm -rf /run/%s" % (name, name))
    options = "%s --memory 16m --memory-swap 16m -v PROBE:/probe:ro IMAGE" % NONET
    t.podman("run --rm %s sh -c 'exec /probe eat 64'" % options).status_is(137)
    # conmon reads the cgroup's memory.events, so the first process must live a little longer. Its
    # mark is a file "oom": Debian's conmon puts it where it was started, Podman seeks it in the bundle.
    t.sh("mkdir -p /run/%s && cd /run/%s && podman %s run --name %s %s sh -c 'sleep 2; /probe eat 64; "
         "sleep 5; exit 3'" % (name, name, t.podman_options(), name, options)).status_is(3)
    t.sh("ls /run/%s; podman inspect -f '{{.State.OOMKilled}}' %s" % (name, name)).has("^oom$|^true$")


@scenario("podman", "health check: bad, then good")
def _(t):
    name = t.name()
    t.finally_sh("podman rm -f -t 0 " + name)
    t.podman("run -d %s --name %s --health-cmd 'test -e /good' --health-interval disable "
             "--health-retries 1 IMAGE sleep 1000" % (NONET, name)).ok()
    t.podman("healthcheck run " + name).status_is(1)
    t.podman("exec %s touch /good" % name).ok()
    t.podman("healthcheck run " + name).ok()
    t.podman("inspect -f '{{.State.Health.Status}}' " + name).prints("healthy")


@scenario("podman", "health check by systemd's timer")
def _(t):
    name = t.name()
    t.finally_sh("podman rm -f -t 0 " + name)
    t.podman("run -d %s --name %s --health-cmd 'true' --health-interval 5s IMAGE sleep 1000" %
             (NONET, name)).ok()
    t.until("podman inspect -f '{{.State.Health.Status}}' " + name, "^healthy", 90)


@scenario("podman", "--restart on-failure:2")
def _(t):
    name = t.name()
    t.finally_sh("podman rm -f -t 0 " + name)
    t.podman("run -d %s --name %s --restart on-failure:2 IMAGE sh -c 'echo try; exit 1'" %
             (NONET, name)).ok()
    t.until("podman logs %s | grep -c try" % name, "^3$", 90)


@scenario("podman", "--timeout ends it")
def _(t):
    t.podman("run --rm %s --timeout 3 IMAGE sleep 100" % NONET, timeout=60).status_is(255, 137)


@scenario("podman", "--pid host: stop ends everything of it")
def _(t):
    name = t.name()
    t.finally_sh("podman rm -f -t 0 " + name)
    t.podman("run -d %s --pid host --name %s IMAGE sh -c 'sleep 98765 & sleep 98764'" %
             (NONET, name)).ok()
    t.until("pgrep -f 'sleep 98765'", r"\d")
    t.podman("stop -t 0 " + name).ok()
    t.until("pgrep -fx 'sleep 98765' || echo none", "^none$", 20)


@scenario("podman", "--log-driver none, passthrough, journald")
def _(t):
    t.podman("run --rm %s --log-driver none IMAGE echo a" % NONET).prints("a")
    t.podman("run --rm %s --log-driver passthrough IMAGE echo b" % NONET).prints("b")
    name = t.name()
    t.finally_sh("podman rm -f -t 0 " + name)
    t.podman("run %s --name %s --log-driver journald IMAGE echo from-journal" % (NONET, name)).ok()
    t.until("podman logs " + name, "from-journal")


@scenario("podman", "pod: shared namespaces, exec, stop, rm")
def _(t):
    pod = t.name("pod")
    t.finally_sh("podman pod rm -f -t 0 " + pod)
    t.podman("pod create --network none --infra-image IMAGE --infra-command 'sleep 1000' "
             "--share pid,ipc,uts,net --name " + pod).ok()
    t.podman("run -d --pod %s --name %sa IMAGE sleep 12321" % (pod, pod)).ok()
    t.podman("run --rm --pod %s IMAGE ps" % pod).ok().has("sleep 12321", "sleep 1000")
    t.podman("pod stop -t 0 " + pod).ok()
    t.podman("pod rm " + pod).ok()


@scenario("podman", "--cgroups disabled")
def _(t):
    t.podman("run --rm %s --cgroups disabled IMAGE echo ran" % NONET).prints("ran")


@scenario("podman", "the monitor is killed: exec and rm -f still work")
def _(t):
    name = t.name()
    t.finally_sh("podman rm -f -t 0 " + name)
    t.podman("run -d %s --name %s IMAGE sleep 1000" % (NONET, name)).ok()
    t.sh("kill -9 $(podman inspect -f '{{.State.ConmonPid}}' %s)" % name).ok()
    t.podman("exec %s true" % name).ok()
    t.podman("rm -f -t 0 " + name).ok()


@scenario("podman", "unit of Type=notify: the container says READY")
def _(t):
    name = t.name()
    t.finally_sh("podman rm -f -t 0 " + name)
    t.finally_sh("systemctl stop %s.service; systemctl reset-failed %s.service" % (name, name))
    t.sh("systemd-run --unit %s -p Type=notify -p NotifyAccess=all -p TimeoutStartSec=90 podman %s "
         "run --rm %s --name %s --sdnotify container -v PROBE:/probe:ro IMAGE sh -c "
         "'/probe notify READY=1; sleep 1000'" % (name, t.podman_options(), NONET, name),
         timeout=120).ok()
    t.sh("systemctl is-active %s.service" % name).prints("active")


@scenario("podman", "unit of Type=notify: conmon says READY")
def _(t):
    name = t.name()
    t.finally_sh("podman rm -f -t 0 " + name)
    t.finally_sh("systemctl stop %s.service; systemctl reset-failed %s.service" % (name, name))
    t.sh("systemd-run --unit %s -p Type=notify -p NotifyAccess=all -p TimeoutStartSec=90 podman %s "
         "run -d --rm %s --name %s --sdnotify conmon IMAGE sleep 1000" %
         (name, t.podman_options(), NONET, name), timeout=120).ok()
    t.sh("systemctl is-active %s.service" % name).prints("active")


@scenario("podman", "socket activation: LISTEN_FDS reach the container")
def _(t):
    path = "/run/%s.sock" % t.name("listen")
    t.sh("systemd-socket-activate -l %s podman %s run --rm %s IMAGE sh -c 'echo fds $LISTEN_FDS "
         "pid $LISTEN_PID; readlink /proc/self/fd/3' > %s.out 2>&1 & for i in $(seq 100); do [ -S "
         "%s ] && break; sleep 0.1; done; echo | socat -u - UNIX-CONNECT:%s; wait; cat %s.out" %
         (path, t.podman_options(), NONET, path, path, path, path)).has("fds 1 pid 1", "socket:")


@scenario("podman", "a unit made by `podman generate systemd` starts and stops the container")
def _(t):
    name = t.name()
    unit = "/run/systemd/system/%s.service" % name
    t.finally_sh("systemctl stop %s; rm -f %s; systemctl daemon-reload; podman rm -f -t 0 %s" %
                 (name, unit, name))
    t.podman("create %s --name %s --sdnotify conmon IMAGE sleep 1000" % (NONET, name)).ok()
    # It repeats the command that made the container, with the runtime and the manager in it.
    t.podman("generate systemd --new --name %s > %s" % (name, unit)).ok()
    t.podman("rm " + name).ok()
    t.sh("sed -i 's/TimeoutStopSec=.*/TimeoutStopSec=200/; /^\\[Service/aTimeoutStartSec=200' %s; "
         "systemctl daemon-reload; systemctl start %s" % (unit, name), timeout=200).ok()
    t.podman("exec %s echo in" % name).prints("in")
    t.podman("inspect -f '{{.OCIRuntime}}' " + name).prints(t.runtime)
    t.sh("systemctl stop " + name, timeout=200).ok()
    t.podman("ps -a --filter name=" + name).lacks(name)


@scenario("podman", "logs -f follows until the end; wait gives the status")
def _(t):
    name = t.name()
    t.finally_sh("podman rm -f -t 0 " + name)
    t.podman("run -d %s --name %s IMAGE sh -c 'for i in 1 2 3 4 5; do echo line $i; sleep 1; done; "
             "exit 4'" % (NONET, name)).ok()
    t.podman("logs -f " + name).ok().has("^line 1$", "^line 5$")
    t.podman("wait " + name).prints("4")
