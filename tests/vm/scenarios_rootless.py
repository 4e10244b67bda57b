"""Podman as an ordinary user (tester), below that user's own systemd."""
from scenario import equal, scenario

RUN = "run --rm --network none "


def user(t, command, manager="systemd", **more):
    # Podman takes INVOCATION_ID as the sign of a unit, in which it leaves its monitor: it would be
    # killed with the unit of as-user.
    return t.sh("as-user env -u INVOCATION_ID podman --runtime RUNTIME --cgroup-manager %s %s" % (manager, command),
                **more)


@scenario("rootless", "run: output, status, who one is")
def _(t):
    result = user(t, RUN + "IMAGE sh -c 'id -u; cat /proc/self/uid_map; exit 7'")
    result.status_is(7).has("^0$", "^ +0 +1000 +1")


@scenario("rootless", "limits, by both cgroup managers")
def _(t):
    user(t, RUN + "--memory 64m --cpus 0.5 --pids-limit 50 IMAGE sh -c 'cd /sys/fs/cgroup; cat "
         "memory.max cpu.max pids.max'").prints("67108864\n50000 100000\n50")
    user(t, RUN + "IMAGE true", manager="cgroupfs").ok()


@scenario("rootless", "a missing command is 127, a folder 126")
def _(t):
    user(t, RUN + "IMAGE nosuch").status_is(127)
    user(t, RUN + "IMAGE /etc").status_is(126)


@scenario("rootless", "--userns keep-id")
def _(t):
    user(t, RUN + "--userns keep-id IMAGE id -u").prints("1000")


@scenario("rootless", "--group-add keep-groups")
def _(t):
    user(t, RUN + "--group-add keep-groups IMAGE id").ok()


@scenario("rootless", "run -d, exec, exec -t, logs, top, stop, rm")
def _(t):
    name = t.name("user")
    t.finally_sh("as-user podman rm -f -t 0 " + name)
    user(t, "run -d --network none --name %s IMAGE sh -c 'echo up; sleep 1000'" % name).ok()
    user(t, "exec %s sh -c 'echo in; exit 9'" % name).status_is(9).has("^in$")
    user(t, "exec -t %s tty" % name).ok().has("/dev/pts/0")
    user(t, "logs " + name).prints("up")
    user(t, "top %s args" % name).ok().has("sleep")
    user(t, "stop -t 0 " + name).ok()
    user(t, "rm " + name).ok()


@scenario("rootless", "read-only, tmpfs, device, volume")
def _(t):
    t.sh("as-user sh -c 'mkdir -p ~/shared; echo data > ~/shared/file'").ok()
    user(t, RUN + "--read-only --tmpfs /var --device /dev/null:/dev/nothing -v "
         "/home/tester/shared:/v:ro IMAGE sh -c 'cat /v/file; touch /x; touch /var/x && echo var; "
         "ls /dev/nothing'").has("^data$", "Read-only", "^var$", "^/dev/nothing$")


@scenario("rootless", "host network, host pid namespace")
def _(t):
    equal(True, t.sh("as-user podman --runtime RUNTIME run --rm --pid "
                     "host --network host IMAGE ps").ok().out.count("\n") > 20, "sees the host")


@scenario("rootless", "pause and unpause")
def _(t):
    name = t.name("user")
    t.finally_sh("as-user podman rm -f -t 0 " + name)
    user(t, "run -d --network none --name %s IMAGE sleep 1000" % name).ok()
    user(t, "pause " + name).ok()
    user(t, "unpause " + name).ok()


@scenario("rootless", "podman build")
def _(t):
    name = t.name("image")
    t.finally_sh("as-user podman rmi -f localhost/" + name)
    t.sh("as-user sh -c 'mkdir -p ~/build; printf \"FROM IMAGE\\nRUN echo ran > /ran\\n\" > "
         "~/build/Containerfile'").ok()
    user(t, "build --network none --isolation oci -t %s /home/tester/build" % name,
         timeout=300).ok()
    user(t, RUN + "localhost/%s cat /ran" % name).prints("ran")


@scenario("rootless", "a pod")
def _(t):
    pod = t.name("pod")
    t.finally_sh("as-user podman pod rm -f -t 0 " + pod)
    user(t, "pod create --network none --infra-image IMAGE --infra-command 'sleep 1000' "
         "--share pid,ipc,uts,net --name " + pod).ok()
    user(t, "run -d --pod %s --name %sa IMAGE sleep 12321" % (pod, pod)).ok()
    user(t, "run --rm --pod %s IMAGE ps" % pod).ok().has("sleep 12321", "sleep 1000")
    user(t, "pod rm -f -t 0 " + pod).ok()


@scenario("rootless", "health check, update")
def _(t):
    name = t.name("user")
    t.finally_sh("as-user podman rm -f -t 0 " + name)
    user(t, "run -d --network none --name %s --health-cmd 'test -e /etc/passwd' --health-interval "
         "disable IMAGE sleep 1000" % name).ok()
    user(t, "healthcheck run " + name).ok()
    user(t, "update --memory 100m " + name).ok()
    user(t, "exec %s cat /sys/fs/cgroup/memory.max" % name).prints("104857600")


@scenario("rootless", "a user's unit of Type=notify: the container says READY")
def _(t):
    name = t.name("user")
    t.finally_sh("as-user podman rm -f -t 0 " + name)
    t.finally_sh("as-user systemctl --user stop %s.service" % name)
    t.sh("as-user systemd-run --user --unit %s -p Type=notify -p NotifyAccess=all -p "
         "TimeoutStartSec=150 podman --runtime RUNTIME run --rm --network none --name %s --sdnotify "
         "container -v PROBE:/probe:ro IMAGE sh -c '/probe notify READY=1; sleep 1000'" %
         (name, name), timeout=200).ok()
    t.sh("as-user systemctl --user is-active %s.service" % name).prints("active")
