#!/usr/bin/env python3
"""Writes the configurations of the golden bundles: one base, and what each bundle changes in it.

Run it after editing, then `golden_test --update` in the build folder writes the plans anew; read
the difference before committing it.
"""
import copy
import json
import os

HERE = os.path.dirname(os.path.abspath(__file__))
CAPS = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_SETUID"]


def mount(target, fstype, source, *options):
    return {"destination": target, "type": fstype, "source": source, "options": list(options)}


BASE = {
    "ociVersion": "1.3.0",
    "process": {
        "user": {"uid": 0, "gid": 0},
        "args": ["/bin/sh", "-c", "true"],
        "env": ["PATH=/usr/bin:/bin", "HOME=/root", "TERM=xterm"],
        "cwd": "/",
        "capabilities": {k: CAPS for k in ("bounding", "effective", "permitted")},
        "noNewPrivileges": True,
    },
    "root": {"path": "rootfs"},
    "hostname": "golden",
    "mounts": [
        mount("/proc", "proc", "proc", "nosuid", "noexec", "nodev"),
        mount("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
        mount("/dev/pts", "devpts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666",
              "mode=0620", "gid=5"),
        mount("/sys", "sysfs", "sysfs", "nosuid", "noexec", "nodev", "ro"),
    ],
    "linux": {
        "cgroupsPath": "/golden/id",
        "namespaces": [{"type": t} for t in ("pid", "ipc", "uts", "mount", "network", "cgroup")],
        "maskedPaths": ["/proc/kcore", "/sys/firmware"],
        "readonlyPaths": ["/proc/sys", "/proc/bus"],
    },
}

BUNDLES = {}


def bundle(function):
    config = copy.deepcopy(BASE)
    facts = function(config) or []
    BUNDLES[function.__name__.replace("_", "-")] = (config, facts)


@bundle
def base(_):
    """What all others start from."""


@bundle
def detached(_):
    return ["detached"]


@bundle
def no_pivot(_):
    return ["no-pivot"]


@bundle
def without_process(config):
    del config["process"]
    return ["detached"]


@bundle
def without_mount_namespace(config):
    config["linux"]["namespaces"] = [n for n in config["linux"]["namespaces"]
                                     if n["type"] != "mount"]
    del config["linux"]["maskedPaths"], config["linux"]["readonlyPaths"]
    config["mounts"] = config["mounts"][:1]


@bundle
def terminal(config):
    config["process"]["terminal"] = True
    config["process"]["consoleSize"] = {"height": 24, "width": 80}
    return ["detached", "console-socket"]


@bundle
def user_namespace(config):
    config["linux"]["namespaces"].append({"type": "user"})
    for kind in ("uidMappings", "gidMappings"):
        config["linux"][kind] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    config["process"]["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 4096}]
    config["process"]["user"] = {"uid": 1000, "gid": 1000, "additionalGids": [4, 20]}


@bundle
def rootless(config):
    config["linux"]["namespaces"].append({"type": "user"})
    del config["linux"]["cgroupsPath"]
    config["linux"]["namespaces"] = [n for n in config["linux"]["namespaces"]
                                     if n["type"] != "network"]
    for kind in ("uidMappings", "gidMappings"):
        config["linux"][kind] = [{"containerID": 0, "hostID": 1000, "size": 1}]
    config["mounts"][2]["options"].remove("gid=5")
    return ["rootless"]


@bundle
def joined_namespaces(config):
    for ns in config["linux"]["namespaces"]:
        if ns["type"] in ("network", "ipc", "uts", "pid", "cgroup"):
            ns["path"] = f"/proc/1234/ns/{'net' if ns['type'] == 'network' else ns['type']}"
    del config["hostname"]


@bundle
def time_offsets(config):
    config["linux"]["namespaces"].append({"type": "time"})
    config["linux"]["timeOffsets"] = {"monotonic": {"secs": 86400}, "boottime": {"secs": 7}}


@bundle
def hooks(config):
    config["hooks"] = {
        kind: [{"path": f"/usr/bin/{kind}", "args": [kind], "timeout": 5}]
        for kind in ("prestart", "createRuntime", "createContainer", "startContainer",
                     "poststart", "poststop")}


@bundle
def binds(config):
    config["mounts"] += [
        mount("/etc/hosts", "bind", "/srv/hosts", "rbind", "rprivate", "ro"),
        mount("/data", "none", "data", "bind", "rw", "nosuid", "noatime"),
        mount("/deep", "bind", "/srv/deep", "rbind", "rro", "rnosuid", "rslave"),
        mount("/shared", "bind", "/srv/shared", "rbind", "rshared"),
        mount("/link", "bind", "/srv/link", "bind", "src-nofollow", "dest-nofollow"),
    ]
    config["linux"]["rootfsPropagation"] = "shared"


@bundle
def idmapped_mounts(config):
    config["linux"]["namespaces"].append({"type": "user"})
    for kind in ("uidMappings", "gidMappings"):
        config["linux"][kind] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    config["mounts"].append(mount("/data", "bind", "/srv/data", "bind", "idmap"))
    own = mount("/own", "bind", "/srv/own", "rbind", "ridmap")
    own["uidMappings"] = own["gidMappings"] = [{"containerID": 0, "hostID": 5000, "size": 10}]
    config["mounts"].append(own)


@bundle
def tmpfs_and_friends(config):
    config["mounts"] += [
        mount("/dev/shm", "tmpfs", "shm", "nosuid", "noexec", "nodev", "mode=1777", "size=65536k"),
        mount("/dev/mqueue", "mqueue", "mqueue", "nosuid", "noexec", "nodev"),
        mount("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec", "nodev", "relatime", "ro"),
        mount("/etc", "tmpfs", "tmpfs", "tmpcopyup", "size=1m"),
        mount("/opt", "tmpfs", "tmpfs", "sync", "lazytime", "nosymfollow", "silent"),
    ]
    config["root"]["readonly"] = True


@bundle
def devices(config):
    config["linux"]["devices"] = [
        {"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 0o666},
        {"path": "/dev/disk", "type": "b", "major": 8, "minor": 0, "uid": 1, "gid": 2},
        {"path": "/run/pipe", "type": "p", "fileMode": 0o600},
    ]
    config["linux"]["resources"] = {"devices": [
        {"allow": False, "access": "rwm"},
        {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rw"},
    ]}


def set_limits(config):
    config["linux"]["resources"] = {
        "memory": {"limit": 67108864, "reservation": 33554432, "swap": 134217728},
        "cpu": {"shares": 100, "quota": 50000, "period": 100000, "burst": 1000, "cpus": "0-1"},
        "pids": {"limit": 50},
        "blockIO": {"weight": 500, "throttleReadBpsDevice": [{"major": 8, "minor": 0,
                                                             "rate": 1000000}]},
        "hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}],
        "unified": {"memory.high": "50331648"},
    }


@bundle
def limits(config):
    set_limits(config)


@bundle
def systemd(config):
    set_limits(config)
    config["linux"]["cgroupsPath"] = "machine.slice:golden:id"
    config["linux"]["resources"]["pids"]["limit"] = 1
    config["linux"]["resources"]["unified"]["memory.oom.group"] = "1"
    config["annotations"] = {
        "org.systemd.property.KillSignal": "15",
        "org.systemd.property.TimeoutStopUSec": "uint64 10000000",
        "org.systemd.property.After": "['a.service', 'b.service']",
    }
    return ["systemd"]


@bundle
def process_settings(config):
    config["process"].update({
        "user": {"uid": 1000, "gid": 100, "additionalGids": [5, 6], "umask": 0o27},
        "cwd": "/srv/work",
        "noNewPrivileges": False,
        "oomScoreAdj": 100,
        "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200},
                    {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}],
        "scheduler": {"policy": "SCHED_BATCH", "nice": 5},
        "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 6},
    })
    config["process"]["capabilities"]["ambient"] = ["CAP_KILL"]
    config["process"]["capabilities"]["inheritable"] = ["CAP_KILL"]
    config["domainname"] = "example"
    config["linux"]["sysctl"] = {"net.ipv4.ip_forward": "1", "kernel.msgmax": "65536"}
    config["linux"]["personality"] = {"domain": "LINUX32"}


@bundle
def seccomp(config):
    config["linux"]["seccomp"] = {
        "defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{"names": ["read", "write", "execve", "exit_group"],
                      "action": "SCMP_ACT_ALLOW"}]}
    config["process"]["noNewPrivileges"] = False


@bundle
def net_devices(config):
    config["linux"]["netDevices"] = {"eth1": {}, "eth2": {"name": "uplink"},
                                     "eth3": {"name": "net%d"}}
    config["linux"]["sysctl"] = {"net.ipv4.conf.uplink.forwarding": "1"}


@bundle
def intel_rdt(config):
    config["linux"]["intelRdt"] = {"l3CacheSchema": "L3:0=7f0;1=1f", "memBwSchema": "MB:0=20;1=70",
                                   "schemata": ["L2:0=f"], "enableMonitoring": True}
    return ["resctrl"]


def main():
    for name, (config, facts) in BUNDLES.items():
        folder = os.path.join(HERE, name)
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "config.json"), "w", encoding="ascii") as out:
            json.dump(config, out, indent=2)
            out.write("\n")
        with open(os.path.join(folder, "facts"), "w", encoding="ascii") as out:
            out.write("".join(fact + "\n" for fact in facts))


main()
