"""The systemd driver for ordinary users, and under Podman, containerd and Docker."""
import os
import shutil
import subprocess

from systemd_box import (CORACLE, IMAGE, MIB, ROOTFS, Skip, equal, loaded, need, run, show, test,
                         until)

# ---- rootless ------------------------------------------------------------------------------------

def start_user():
    """The user's systemd, which a busy emulated machine does not start within the usual time."""
    if os.path.exists("/run/user/1000/bus"):
        return
    drop_in = "/run/systemd/system/user@.service.d"
    os.makedirs(drop_in, exist_ok=True)
    with open(drop_in + "/slow.conf", "w") as file:
        file.write("[Service]\nTimeoutStartSec=900\n")
    for words in (["daemon-reload"], ["reset-failed"], ["restart", "user-runtime-dir@1000"],
                  ["start", "user@1000"]):
        run("systemctl", *words, timeout=900)
    until(lambda: os.path.exists("/run/user/1000/bus"), "the start of the user's systemd")


def as_user(*words, **more):
    if not shutil.which("as-user"):
        raise Skip("no as-user")
    start_user()
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
        # INVOCATION_ID is the sign of a unit, in which Podman leaves its monitor: killed with it.
        return as_user("env", "-u", "INVOCATION_ID", "podman", "--runtime", CORACLE,
                       "--cgroup-manager", "systemd", *words)

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
