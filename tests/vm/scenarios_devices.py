"""Devices as GPU toolkits and device plugins give them to a container: nodes, rules, hooks, files."""
import json

from scenario import scenario
from scenarios_direct import Box
from scenarios_docker import docker

RUN = "run --rm --network none "
# The shape of what such a toolkit generates: nodes for each device, and for all of them more nodes,
# a hook that makes links in the container's root, one that looks at the state, and files of the
# driver. The nodes are those of /dev/zero and /dev/full.
CDI = {"cdiVersion": "0.5.0", "kind": "vendor.example/gpu",
       "devices": [{"name": name, "containerEdits": {
           "deviceNodes": [{"path": "/dev/gpu0", "permissions": "rw"}]}} for name in ("0", "all")],
       "containerEdits": {
           "env": ["GPU_VISIBLE=void"],
           "deviceNodes": [{"path": "/dev/gpuctl"}],
           "hooks": [{"hookName": "createContainer", "path": "/run/gpu/hook",
                      "args": ["hook", "links", "--link", "lib.so.1::/usr/lib/lib.so"],
                      "env": ["FROM=toolkit"]}],
           "mounts": [{"hostPath": "/run/gpu/lib.so.1", "containerPath": "/usr/lib/gpu/lib.so.1",
                       "options": ["ro", "nosuid", "nodev", "bind"]}]}}
HOOK = """#!/bin/sh
PATH=/usr/bin:/bin
cat > /run/gpu/state
echo "$1 $2 $3 $FROM" > /run/gpu/ran
bundle=$(jq -r .bundle /run/gpu/state)
root=$(jq -r .root.path "$bundle/config.json")
case $root in /*) ;; *) root=$bundle/$root ;; esac
ln -sf gpu/lib.so.1 "$root/usr/lib/lib.so"
"""
LOOK = ("head -c 2 /dev/gpu0 | wc -c; (echo x > /dev/gpuctl) 2>&1 | grep -c space; "
        "cat /usr/lib/gpu/lib.so.1; cat /usr/lib/lib.so; touch /usr/lib/gpu/lib.so.1 2>/dev/null || "
        "echo fixed; echo $GPU_VISIBLE")
SEES = "2\n1\nlib\nlib\nfixed\nvoid"


def toolkit(t):
    t.sh("mkdir -p /run/gpu /etc/cdi /run/cdi; echo lib > /run/gpu/lib.so.1; rm -f /run/gpu/ran; "
         "[ -e /dev/gpu0 ] || mknod -m 666 /dev/gpu0 c 1 5; "
         "[ -e /dev/gpuctl ] || mknod -m 666 /dev/gpuctl c 1 7; "
         "cat > /run/gpu/hook; chmod 755 /run/gpu/hook", stdin=HOOK).ok()
    with open("/etc/cdi/vendor.json", "w", encoding="utf-8") as file:
        json.dump(CDI, file)
    t.finally_sh("rm -f /dev/gpu0 /dev/gpuctl /etc/cdi/vendor.json")


@scenario("devices", "podman --device of a CDI file: nodes, hook, files, environment")
def _(t):
    toolkit(t)
    t.podman(RUN + "--device vendor.example/gpu=all IMAGE sh -c '%s'" % LOOK).prints(SEES)
    t.sh("cat /run/gpu/ran").prints("links --link lib.so.1::/usr/lib/lib.so toolkit")


@scenario("devices", "a config.json as CDI edits it, and a prestart hook as older toolkits do")
def _(t):
    toolkit(t)
    edits = CDI["containerEdits"]
    box = Box(t, ["sh", "-c", LOOK])
    t.sh("cp -a %s %s/rootfs" % (box.config["root"]["path"], box.folder)).ok()
    box.config["root"] = {"path": box.folder + "/rootfs"}
    box.config["process"]["env"] += edits["env"]
    box.config["linux"]["devices"] = [{"path": "/dev/gpu0", "type": "c", "major": 1, "minor": 5},
                                      {"path": "/dev/gpuctl", "type": "c", "major": 1, "minor": 7}]
    box.resources["devices"] = [{"allow": False, "access": "rwm"}] + [
        {"allow": True, "type": "c", "major": 1, "minor": minor, "access": "rwm"} for minor in (5, 7)]
    mount = edits["mounts"][0]
    box.config["mounts"].append({"source": mount["hostPath"], "destination": mount["containerPath"],
                                 "options": mount["options"]})
    hook = edits["hooks"][0]
    box.config["hooks"] = {
        "createContainer": [{name: hook[name] for name in ("path", "args", "env")}],
        "prestart": [{"path": "/bin/sh", "args": ["sh", "-c", "jq -r .pid > /run/gpu/pid"],
                      "env": ["PATH=/usr/bin:/bin"]}]}
    box.run().prints(SEES)
    t.sh("cat /run/gpu/pid").has(r"^\d+$")


@scenario("devices", "podman: access to a device outlives systemctl daemon-reload")
def _(t):
    toolkit(t)
    name = t.name()
    t.finally_sh("podman rm -f -t 0 " + name)
    t.podman("run -d --network none --name %s --device /dev/gpu0 --device /dev/fuse IMAGE sleep 1000" %
             name).ok()
    for _ in range(2):
        t.podman("exec %s sh -c 'head -c 2 /dev/gpu0 | wc -c; : < /dev/fuse && echo fuse'" %
                 name).prints("2\nfuse")
        t.sh("systemctl daemon-reload").ok()
    # A device added later, as a plugin does it with the programs it finds, is not ours to test; a
    # node that was made without being given stays closed.
    t.podman("exec %s sh -c 'mknod /kmsg c 1 11 && cat /kmsg'" % name).has(
        "[Oo]peration not permitted")


@scenario("devices", "docker --device with rules, --device-cgroup-rule")
def _(t):
    docker(t, RUN + "--device /dev/kmsg:/dev/log2:r --device-cgroup-rule 'c 10:229 rwm' --cap-add "
           "SYS_ADMIN --cap-add SYSLOG IMAGE sh -c '(: < /dev/log2) && echo readable; (: > /dev/log2) "
           "2>&1; mknod /fuse c 10 229; (: < /fuse) && echo fuse; mknod /loop c 10 237; (: < /loop) "
           "2>&1'").has("^readable$", "log2: [Oo]peration not permitted", "^fuse$",
                        "loop: [Oo]peration not permitted")
