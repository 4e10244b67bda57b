"""Checkpoint and restore by CRIU, as Podman and the runtime by itself drive it."""
from scenario import Skip, scenario
from scenarios_direct import Box

COUNT = "i=0; while :; do i=$((i+1)); echo $i > /run/count; sleep 0.2; done"


def able(t):
    """Debian's crun is built without CRIU."""
    if t.runtime == "crun" and t.sh("crun --version").out.find("+CRIU") < 0:
        raise Skip("built without CRIU")


def counter(t, options=""):
    able(t)
    name = t.name()
    t.finally_sh("podman rm -f -t 0 " + name)
    t.podman("run -d --network none --tmpfs /run --name %s %s IMAGE sh -c '%s'" %
             (name, options, COUNT)).ok()
    t.until("podman exec %s cat /run/count" % name, r"^\d+$")
    return name


@scenario("checkpoint", "podman checkpoint and restore: it goes on where it was")
def _(t):
    name = counter(t)
    t.podman("container checkpoint --keep " + name, timeout=200).ok()
    t.podman("inspect -f '{{.State.Status}} {{.State.Checkpointed}}' " + name).prints("exited true")
    t.podman("container restore --keep " + name, timeout=200).ok()
    t.podman("ps --filter name=" + name).has("Up ")
    t.until("podman exec %s sh -c 'a=$(cat /run/count); sleep 1; b=$(cat /run/count); [ $a -gt 1 ] "
            "&& [ $b -gt $a ] && echo counts'" % name, "^counts$")
    t.podman("exec %s sh -c 'cat /sys/fs/cgroup/pids.max; : < /dev/null && echo null'" % name).ok().has(
        "^null$")
    t.podman("stop -t 0 " + name).ok()


@scenario("checkpoint", "podman checkpoint --leave-running; --export, restore --import under a new name")
def _(t):
    name = counter(t)
    t.finally_sh("rm -f /run/checkpoint.tar; podman rm -f -t 0 %sb" % name)
    t.podman("container checkpoint --leave-running " + name, timeout=200).ok()
    t.podman("ps --filter name=" + name).has("Up ")
    t.podman("container checkpoint --compress none --export /run/checkpoint.tar " + name,
             timeout=200).ok()
    t.podman("rm -f -t 0 " + name).ok()
    t.podman("container restore --import /run/checkpoint.tar --name %sb" % name, timeout=200).ok()
    t.until("podman exec %sb cat /run/count" % name, r"^\d+$")


@scenario("checkpoint", "the runtime's own checkpoint and restore")
def _(t):
    able(t)
    box = Box(t, ["sh", "-c", "trap 'exit 7' USR1; while :; do sleep 0.1; done"])
    box.config["mounts"] = [m for m in box.config["mounts"] if m["type"] != "cgroup"]
    box.create().ok()
    box.start().ok()
    images = box.folder + "/images"
    box.do("checkpoint", "--image-path %s --work-path %s %s" % (images, box.folder, box.id),
           timeout=200).ok()
    t.sh("BINARY delete " + box.id)
    box.do("restore", "--detach --bundle %s --image-path %s --work-path %s %s > %s/out 2>&1 < "
           "/dev/null" % (box.bundle.path, images, box.folder, box.id, box.folder), timeout=200).ok()
    t.sh("BINARY state " + box.id).ok().has('"status": *"running"')
    box.do("kill", box.id + " USR1").ok()
    t.until("BINARY state " + box.id, "stopped")
