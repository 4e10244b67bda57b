"""containerd's own runc shim drives the runtime (ctr run --runc-binary)."""
from scenario import DATA, equal, read, scenario


def ctr(t):
    if "ctr" not in t.shared:
        t.sh("systemctl start containerd").ok()
        t.until("ctr image ls -q", "busybox")
        t.shared["ctr"] = True


def start(t, args="sleep 1000", options=""):
    ctr(t)
    name = t.name("ctr")
    t.finally_sh("ctr task delete -f %s; ctr container delete %s" % (name, name))
    t.sh("ctr run -d --runc-binary BINARY %s IMAGE:latest %s %s" % (options, name, args)).ok()
    return name


@scenario("ctr", "run --rm: output and status")
def _(t):
    ctr(t)
    t.sh("ctr run --rm --runc-binary BINARY IMAGE:latest %s sh -c 'echo hello; exit 5'" %
         t.name("ctr")).status_is(5).has("hello")


@scenario("ctr", "a missing command is named")
def _(t):
    ctr(t)
    name = t.name("ctr")
    t.finally_sh("ctr container delete " + name)
    result = t.sh("ctr run --rm --runc-binary BINARY IMAGE:latest %s nosuch" % name)
    result.status_is(1).has("executable file not found in .PATH|executable file `nosuch` not found")


@scenario("ctr", "exec, pause, resume, metrics, ps, kill, delete")
def _(t):
    name = start(t, options="--memory-limit 67108864 --cpus 0.5")
    equal("67108864", read("/sys/fs/cgroup/default/%s/memory.max" % name), "memory.max")
    t.sh("ctr task exec --exec-id a %s sh -c 'echo in; exit 3'" % name).status_is(3).has("^in$")
    t.sh("ctr task pause " + name).ok()
    t.sh("ctr task ls").has(name + r" +\d+ +PAUSED")
    t.sh("ctr task resume " + name).ok()
    t.sh("ctr task metrics " + name).ok().has("memory")
    t.sh("ctr task ps " + name).ok().has(r"^\d+")
    t.sh("ctr task kill -s TERM -a %s; ctr task kill -s KILL %s" % (name, name))
    t.until("ctr task ls", name + r" +\d+ +STOPPED")
    t.sh("ctr task delete " + name).status_is(0, 137)


@scenario("ctr", "exec of a missing command leaves the container well")
def _(t):
    name = start(t)
    t.sh("ctr task exec --exec-id a %s nosuch" % name).status_is(1).has("not found")
    t.sh("ctr task exec --exec-id b %s true" % name).ok()


@scenario("ctr", "kill of an ended task is 'not found', not an unknown error")
def _(t):
    name = start(t, "sh -c 'exit 0'")
    t.until("ctr task ls", name + r" +\d+ +STOPPED")
    t.sh("ctr task kill -s KILL " + name).has("not found|already finished|^$")
    t.sh("ctr task delete " + name).ok()


@scenario("ctr", "a terminal")
def _(t):
    ctr(t)
    t.sh("script -qec 'ctr run --rm -t --runc-binary BINARY IMAGE:latest %s tty' /dev/null" %
         t.name("ctr")).ok().has("/dev/pts/0|/dev/console")


@scenario("ctr", "stdin reaches the container")
def _(t):
    ctr(t)
    t.sh("ctr run --rm --runc-binary BINARY IMAGE:latest %s head -n 1" % t.name("ctr"),
         stdin="some words\n").ok().has("some words")


@scenario("ctr", "host network, privileged, read-only root")
def _(t):
    ctr(t)
    t.sh("ctr run --rm --runc-binary BINARY --net-host --privileged --read-only IMAGE:latest %s "
         "sh -c 'touch /x 2>&1; grep CapEff /proc/self/status'" % t.name("ctr")).has(
             "Read-only", "CapEff:\t[0-9a-f]*fffff")


@scenario("ctr", "containerd understands the example for config.toml", only=("coracle",))
def _(t):
    t.sh("(echo version = 2; cat %s/containerd.toml) > /run/c.toml" % DATA).ok()
    t.sh("containerd --config /run/c.toml config dump").ok().has(
        r"runtimes\.coracle\.options", "BinaryName = .BINARY.".replace("BINARY", t.path))
