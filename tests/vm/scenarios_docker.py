"""Docker: dockerd with the runtime added to its daemon.json."""
import json

from scenario import IMAGE, Skip, equal, fetch, scenario
from scenario_terminal import Terminal

RUN = "run --rm --network none "
DAEMON = "/usr/local/lib/coracle-vm/daemon.json"  # what is shipped, and crun


def docker(t, command, **more):
    """docker COMMAND; after `run` and `create` the runtime is named."""
    if not t.shared.get("docker"):
        t.sh("mkdir -p /etc/docker; cp %s /etc/docker/daemon.json; systemctl is-active -q docker || "
             "systemctl restart docker" % DAEMON, timeout=120).ok()
        t.sh("docker image inspect IMAGE > /dev/null 2>&1 || docker load -q -i "
             "/usr/local/share/coracle-vm/busybox.tar").ok()
        t.shared["docker"] = True
    words = command.split(" ", 1)
    if words[0] in ("run", "create"):
        command = "%s --runtime RUNTIME %s" % tuple(words)
    return t.sh("docker " + command, **more)


def reconfigure(t, settings, back="systemctl kill -s HUP docker"):
    """Adds to what the daemon was started with, until the scenario's end; `back`: how it then
    learns that they are gone."""
    docker(t, "version").ok()
    with open(DAEMON, encoding="utf-8") as file:
        config = json.load(file)
    for key, value in settings.items():
        config[key] = {**config.get(key, {}), **value} if isinstance(value, dict) else value
    with open("/etc/docker/daemon.json", "w", encoding="utf-8") as file:
        json.dump(config, file)
    t.finally_sh("cp %s /etc/docker/daemon.json; %s" % (DAEMON, back))
    t.sh("systemctl kill -s HUP docker").ok()


def make_default(t):
    """Builds and services take no --runtime: until the scenario's end it is the daemon's own."""
    reconfigure(t, {"default-runtime": t.runtime})
    t.until("docker info -f '{{.DefaultRuntime}}'", t.runtime, 30)


def with_shim(t):
    """Makes the runtime "shim" known to the daemon: coracle as containerd's shim."""
    docker(t, "version").ok()
    version = t.sh("docker version -f '{{.Server.Version}}'").ok().out
    if int(version.split(".")[0]) < 23:
        raise Skip("Docker before 23 knows no runtimeType")
    reconfigure(t, {"runtimes": {"shim": {"runtimeType": "io.containerd.coracle.v2"}}})
    t.until("docker info -f '{{json .Runtimes}}'", '"shim"', 30)


def looper(t):
    if "docker looper" not in t.shared:
        name = t.name("dloop")
        t.shared.setdefault("undo", []).append("docker rm -f " + name)
        docker(t, "run -d --network none --name %s IMAGE sh -c \"trap 'echo got' USR1; echo out; "
               "echo err >&2; while :; do sleep 1; done\"" % name).ok()
        t.shared["docker looper"] = name
    return t.shared["docker looper"]


@scenario("docker", "run: output, status")
def _(t):
    docker(t, RUN + "IMAGE sh -c 'echo hello; exit 7'").status_is(7).has("^hello$")


@scenario("docker", "limits are in the cgroup")
def _(t):
    docker(t, RUN + "--memory 64m --memory-swap 96m --cpus 0.5 --cpu-shares 512 --cpuset-cpus 0 "
           "--pids-limit 50 IMAGE sh -c 'cd /sys/fs/cgroup; cat memory.max memory.swap.max cpu.max "
           "cpuset.cpus pids.max'").prints("67108864\n33554432\n50000 100000\n0\n50")


@scenario("docker", "exec: status, user, stdin, missing command, privileged")
def _(t):
    name = looper(t)
    docker(t, "exec -i -u 1000 -w /tmp -e A=b %s sh -c 'id -u; pwd; echo $A; cat; exit 9'" % name,
           stdin="words\n").status_is(9).has("^1000$", "^/tmp$", "^b$", "^words$")
    docker(t, "exec %s nosuch" % name).status_is(126, 127)
    # Docker 20.10 knows capabilities up to 37.
    docker(t, "exec --privileged %s grep CapEff /proc/self/status" % name).has("[13]f{9,}$")


@scenario("docker", "logs, top, stats, inspect")
def _(t):
    name = looper(t)
    docker(t, "logs " + name).has("^out$", "^err$")
    docker(t, "top " + name).ok().has("sleep|sh -c")
    docker(t, "stats --no-stream " + name).ok().has(name)
    docker(t, "inspect -f '{{.HostConfig.Runtime}} {{.State.Status}}' " + name).prints(
        "RUNTIME".replace("RUNTIME", t.runtime) + " running")


@scenario("docker", "kill -s, pause, unpause, update")
def _(t):
    name = looper(t)
    docker(t, "kill -s USR1 " + name).ok()
    t.until("docker logs " + name, "got")
    docker(t, "pause " + name).ok()
    docker(t, "ps").has(r"\(Paused\)")
    docker(t, "unpause " + name).ok()
    docker(t, "update --memory 100m --memory-swap 100m --cpus 0.7 --pids-limit 77 " + name).ok()
    docker(t, "exec %s sh -c 'cd /sys/fs/cgroup; cat memory.max cpu.max pids.max'" % name).prints(
        "104857600\n70000 100000\n77")


@scenario("docker", "exec -it: a terminal")
def _(t):
    terminal = Terminal(t, "docker exec -it %s sh" % looper(t), 30, 111)
    terminal.until("# ")
    terminal.ask("tty", "/dev/pts/[0-9]+")
    terminal.ask("stty size", "30 111")
    terminal.type("exit 4\n")
    equal(4, terminal.status(), "status")


@scenario("docker", "run -it: a terminal, resize, status")
def _(t):
    docker(t, "version").ok()
    terminal = Terminal(t, "docker run --runtime RUNTIME --rm -it --network none IMAGE sh", 31, 99)
    terminal.until("# ")
    terminal.ask("tty", "/dev/pts/0")
    terminal.ask("stty size", "31 99")
    terminal.resize(40, 120)
    terminal.ask("stty size", "40 120")
    terminal.type("exit 5\n")
    equal(5, terminal.status(), "status")


@scenario("docker", "stop, start, restart")
def _(t):
    name = t.name("d")
    t.finally_sh("docker rm -f " + name)
    docker(t, "run -d --network none --name %s IMAGE sh -c \"trap 'exit 3' TERM; while :; do sleep "
           "1; done\"" % name).ok()
    docker(t, "stop -t 20 " + name).ok()
    docker(t, "inspect -f '{{.State.ExitCode}}' " + name).prints("3")
    docker(t, "start " + name).ok()
    docker(t, "restart -t 0 " + name).ok()
    docker(t, "inspect -f '{{.State.Status}}' " + name).prints("running")


@scenario("docker", "--restart on-failure:2")
def _(t):
    name = t.name("d")
    t.finally_sh("docker rm -f " + name)
    docker(t, "run -d --network none --restart on-failure:2 --name %s IMAGE false" % name).ok()
    t.until("docker inspect -f '{{.RestartCount}} {{.State.Status}}' " + name, "2 exited", 90)


@scenario("docker", "health check")
def _(t):
    name = t.name("d")
    t.finally_sh("docker rm -f " + name)
    docker(t, "run -d --network none --health-cmd 'test -e /etc/passwd' --health-interval 2s --name"
           " %s IMAGE sleep 1000" % name).ok()
    t.until("docker inspect -f '{{.State.Health.Status}}' " + name, "^healthy", 60)


@scenario("docker", "--privileged")
def _(t):
    docker(t, RUN + "--privileged IMAGE sh -c 'grep CapEff /proc/self/status; ls /dev/vda'").has(
        "[13]f{9,}$", "^/dev/vda$")


@scenario("docker", "--init, --read-only, --tmpfs, --cap-drop, --ulimit, --device, no-new-privileges")
def _(t):
    docker(t, RUN + "--init --read-only --tmpfs /var --cap-drop ALL --cap-add CHOWN --ulimit "
           "nofile=321:654 --device /dev/kmsg:/dev/log2:r --security-opt no-new-privileges IMAGE "
           "sh -c 'cat /proc/1/comm; touch /x; touch /var/x && echo var; grep -E \"CapEff|NoNew\" "
           "/proc/self/status; ulimit -n; ls /dev/log2'").has(
               "docker-init|tini", "Read-only", "^var$", "CapEff:\t0000000000000001",
               "NoNewPrivs:\t1", "^321$", "^/dev/log2$")


@scenario("docker", "--pid host, --pid container")
def _(t):
    docker(t, RUN + "--pid host IMAGE ps").ok().has("dockerd")
    docker(t, RUN + "--pid container:%s IMAGE ps" % looper(t)).ok().has("sleep|sh -c")


@scenario("docker", "volumes, --hostname, --user, --sysctl, --shm-size")
def _(t):
    t.sh("mkdir -p /run/dvolume; echo in > /run/dvolume/file")
    docker(t, RUN + "-v /run/dvolume:/a:ro --hostname abc -u 5:6 --sysctl net.ipv4.ip_forward=1 "
           "--shm-size 3m IMAGE sh -c 'cat /a/file; touch /a/x; hostname; id -u; cat "
           "/proc/sys/net/ipv4/ip_forward; df -k /dev/shm | tail -1'").has(
               "^in$", "Read-only", "^abc$", "^5$", "^1$", " 3072 ")


@scenario("docker", "bridge network, published port")
def _(t):
    name = t.name("d")
    t.finally_sh("docker rm -f " + name)
    docker(t, "run -d --name %s -p 127.0.0.1:8299:80 IMAGE sh -c 'mkdir /w; echo web > /w/i; exec "
           "httpd -f -p 80 -h /w'" % name).ok()
    t.until("busybox wget -qO- http://127.0.0.1:8299/i", "web", 20)


@scenario("docker", "two containers on a network of their own talk by name")
def _(t):
    net, name = t.name("net"), t.name("d")
    t.finally_sh("docker network rm " + net)
    t.finally_sh("docker rm -f " + name)
    docker(t, "network create " + net).ok()
    docker(t, "run -d --name %s --network %s IMAGE sh -c 'mkdir /w; echo web > /w/i; exec httpd -f "
           "-p 80 -h /w'" % (name, net)).ok()
    docker(t, "run --rm --network %s IMAGE sh -c %s" %
           (net, fetch(name))).ok().has("^web$")


@scenario("docker", "docker build")
def _(t):
    path, name = "/run/dbuild-" + t.name(), t.name("image")
    t.finally_sh("rm -rf %s; docker rmi -f %s" % (path, name))
    t.sh("mkdir -p %s; printf 'FROM IMAGE\\nRUN echo ran > /ran\\nCMD [\"cat\",\"/ran\"]\\n' > "
         "%s/Dockerfile" % (path, path)).ok()
    make_default(t)
    docker(t, "build --network none -t %s %s" % (name, path), timeout=300).ok()
    docker(t, RUN + name).prints("ran")


@scenario("docker", "a swarm service on the one node")
def _(t):
    name = t.name("service")
    make_default(t)
    t.finally_sh("docker service rm %s; docker swarm leave --force" % name)
    docker(t, "swarm init --advertise-addr 127.0.0.1").ok()
    docker(t, "service create --detach --no-resolve-image --network host --name %s %s sleep 1000" %
           (name, IMAGE)).ok()
    t.until("docker service ps -f desired-state=running --format '{{.CurrentState}}' " + name,
            "Running", 60)


@scenario("docker", "--restart always: it comes back after a kill; stop ends it")
def _(t):
    name = t.name("d")
    t.finally_sh("docker rm -f " + name)
    docker(t, "run -d --network none --restart always --name %s IMAGE sh -c 'sleep 15; exit 1'" %
           name).ok()
    t.until("docker inspect -f '{{.RestartCount}} {{.State.Status}}' " + name, "^[1-9] running", 120)
    docker(t, "stop -t 0 " + name).ok()
    docker(t, "inspect -f '{{.State.Status}}' " + name).prints("exited")


@scenario("docker", "out of memory: OOMKilled")
def _(t):
    name = t.name("d")
    t.finally_sh("docker rm -f " + name)
    docker(t, "run --network none --name %s --memory 16m --memory-swap 16m -v PROBE:/probe:ro IMAGE "
           "sh -c 'sleep 2; /probe eat 64; sleep 5; exit 3'" % name).status_is(3)
    docker(t, "inspect -f '{{.State.OOMKilled}}' " + name).prints("true")


@scenario("docker", "attach, wait, cp, a named volume")
def _(t):
    name, volume = t.name("d"), t.name("volume")
    t.finally_sh("docker volume rm " + volume)
    t.finally_sh("docker rm -f " + name)
    docker(t, "run -d --network none --name %s -v %s:/data IMAGE sh -c 'while [ ! -e /data/go ]; do "
           "echo tick; sleep 0.3; done; exit 6'" % (name, volume)).ok()
    attached = Terminal(t, "docker attach --sig-proxy=false " + name)
    attached.until("tick")
    t.sh("echo content > /run/dcopy").ok()
    docker(t, "cp /run/dcopy %s:/data/file" % name).ok()
    docker(t, "exec %s sh -c 'cat /data/file; touch /data/go'" % name).prints("content")
    docker(t, "wait " + name).prints("6")
    attached.status()
    docker(t, RUN + "-v %s:/again IMAGE cat /again/file" % volume).prints("content")


@scenario("docker", "the daemon starts anew with --live-restore: the container goes on")
def _(t):
    name = t.name("d")
    t.finally_sh("docker rm -f " + name)
    restart = "systemctl reset-failed docker; systemctl restart docker"  # however often in a minute
    # A signal would not do in the end: a setting that is no longer there stays as it was.
    reconfigure(t, {"live-restore": True}, restart)
    t.until("docker info -f '{{.LiveRestoreEnabled}}'", "true", 30)
    docker(t, "run -d --network none --name %s IMAGE sleep 1000" % name).ok()
    t.sh(restart, timeout=200).ok()
    docker(t, "exec %s echo in" % name).prints("in")
    docker(t, "stop -t 0 " + name).ok()


@scenario("docker", "runtimeType: run by coracle's own shim", ("coracle",))
def _(t):
    name = t.name("d")
    with_shim(t)
    run = "docker run --runtime shim --network none "
    t.sh(run + "--rm --memory 64m IMAGE sh -c 'cat /sys/fs/cgroup/memory.max; exit 7'").status_is(7).has(
        "^67108864$")
    t.sh(run + "--rm IMAGE nosuch").status_is(127).has("executable file not found")
    t.sh(run + "--rm -i IMAGE wc -c", stdin="x" * 100000).prints("100000")
    t.finally_sh("docker rm -f " + name)
    t.sh(run + "-d --name %s IMAGE sh -c 'echo out; trap \"exit 3\" TERM; while :; do sleep 1; done'" %
         name).ok()
    t.sh("pgrep -f ^/.*containerd-shim-coracle-v2").ok()
    t.sh("docker exec %s sh -c 'echo in; exit 9'" % name).status_is(9).has("^in$")
    t.sh("docker exec -u 1000 %s id -u" % name).prints("1000")
    t.sh("docker pause %s && docker unpause %s" % (name, name)).ok()
    t.sh("docker top " + name).ok().has("sleep 1")
    t.sh("docker stats --no-stream " + name).ok()
    t.sh("docker update --memory 80m --memory-swap 80m " + name).ok()
    t.sh("docker logs " + name).prints("out")
    t.sh("docker stop " + name).ok()
    t.sh("docker inspect -f '{{.State.ExitCode}}' " + name).prints("3")
    t.sh("docker rm " + name).ok()
    t.sh("pgrep -f ^/.*containerd-shim-coracle-v2").status_is(1)
