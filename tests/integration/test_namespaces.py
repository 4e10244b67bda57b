#!/usr/bin/env python3
"""Namespaces: new, joined, mapped; hostname, sysctl, time offsets."""
import os

import harness as h
from bundle import drop_namespace, namespace, user_namespace

FILES = {"pid": "pid", "network": "net", "mount": "mnt", "ipc": "ipc", "uts": "uts",
         "cgroup": "cgroup", "user": "user", "time": "time"}


def own(kind):
    return os.readlink("/proc/self/ns/" + FILES[kind])


def inside(c, box):
    pid = c.state(box)["pid"]
    return {kind: os.readlink("/proc/%d/ns/%s" % (pid, name)) for kind, name in FILES.items()
            if os.path.exists("/proc/%d/ns/%s" % (pid, name))}


@h.test("each namespace of the config is new, the others are the caller's")
def _(c):
    found = inside(c, c.up(c.sleeper()))
    for kind in ("pid", "network", "mount", "ipc", "uts", "cgroup"):
        h.true(found[kind] != own(kind), kind + " is the caller's")
    h.eq(own("user"), found["user"])


@h.test("a namespace that the config leaves out is shared")
def _(c):
    for kind in ("pid", "network", "ipc", "uts", "cgroup"):
        def edit(config, kind=kind):
            drop_namespace(config, kind)
            if kind == "uts":
                del config["hostname"]
        box = c.up(c.sleeper(edit=edit))
        h.eq(own(kind), inside(c, box)[kind], kind)
        c.delete(box, "-f").ok()


@h.test("a namespace with a path is joined")
def _(c):
    first = c.up(c.sleeper())
    pid = c.state(first)["pid"]
    for kind in ("network", "ipc", "uts", "pid", "cgroup"):
        def edit(config, kind=kind):
            namespace(config, kind, "/proc/%d/ns/%s" % (pid, FILES[kind]))
            if kind == "uts":
                del config["hostname"]
        box = c.up(c.sleeper(edit=edit))
        h.eq(inside(c, first)[kind], inside(c, box)[kind], kind)
        c.delete(box, "-f").ok()
        h.eq("running", c.status(first))


@h.test("a pod: network, ipc and uts of the sandbox are shared by two containers")
def _(c):
    sandbox = c.up(c.sleeper())
    pid = c.state(sandbox)["pid"]

    def edit(config):
        for kind in ("network", "ipc", "uts"):
            namespace(config, kind, "/proc/%d/ns/%s" % (pid, FILES[kind]))
        del config["hostname"]
    one, two = c.up(c.sleeper(edit=edit)), c.up(c.sleeper(edit=edit))
    c.exec(one, "sh", "-c", "while :; do nc -l -p 7777 >> /got; done < /dev/null 2>&1 & sleep 0.2").ok()

    def arrived():
        c.exec(two, "sh", "-c", "echo across | nc -w 2 127.0.0.1 7777")  # until somebody listens
        with open(one.file("got"), encoding="ascii") as file:
            return "across\n" in file.read()
    h.until(arrived, "the words to arrive", 10)
    h.eq("coracle\n", c.exec(two, "hostname").ok().out)


@h.test("a namespace path of the wrong kind, or that is no namespace, is refused by name")
def _(c):
    for kind, path in (("network", "/proc/self/ns/uts"), ("ipc", "/proc/self/ns/net"),
                       ("network", "/etc/passwd"), ("network", "/no/such/file"),
                       ("network", "relative/path")):
        done = c.run(c.bundle(["true"], lambda cfg, k=kind, p=path: namespace(cfg, k, p))).fails()
        if h.is_ours():
            h.match(r"namespaces?\b.*|%s" % path, done.err)


@h.test("a namespace twice, or of an unknown kind, is refused")
def _(c):
    c.run(c.bundle(["true"], lambda cfg: cfg["linux"]["namespaces"].append(
        {"type": "pid"}))).fails()
    c.run(c.bundle(["true"], lambda cfg: cfg["linux"]["namespaces"].append(
        {"type": "pink"}))).fails()


@h.test("hostname and domainname are set, in the container only")
def _(c):
    h.eq("boat\n", c.check_output(["hostname"], lambda cfg: cfg.update(hostname="boat")))
    h.true(os.uname().nodename != "boat", "the host's name changed")
    if h.is_ours():
        h.eq("sea\n", c.check_output(["cat", "/proc/sys/kernel/domainname"],
                                     lambda cfg: cfg.update(domainname="sea")))


@h.test("domainname and the sysctl of it at odds are refused, either alone is not")
def _(c):
    h.only_ours("runc 1.1 lets the sysctl win")

    def edit(name, value):
        return lambda cfg: (cfg.update(domainname=name),
                            cfg["linux"].update(sysctl={"kernel.domainname": value}))
    c.run(c.bundle(["true"], edit("sea", "lake"))).fails(
        r'kernel\.domainname.*"lake", but the property domainname is "sea"')
    for name in ("lake", ""):
        h.eq("lake\n", c.check_output(["cat", "/proc/sys/kernel/domainname"], edit(name, "lake")))


@h.test("a hostname without a uts namespace is refused")
def _(c):
    c.run(c.bundle(["true"], lambda cfg: drop_namespace(cfg, "uts"))).fails()


@h.test("loopback is up in a new network namespace")
def _(c):
    h.match(r"lo.*UP", c.check_output(["sh", "-c", "ip link show lo 2>/dev/null || ifconfig lo"]))
    h.has("1 packets received", c.check_output(["ping", "-c", "1", "-W", "2", "127.0.0.1"],
                                               lambda cfg: [
        cfg["process"]["capabilities"][s].append("CAP_NET_RAW")
        for s in ("bounding", "effective", "permitted")]))


@h.test("sysctls of the container's namespaces are set there only")
def _(c):
    def value(key):
        with open("/proc/sys/" + key, encoding="ascii") as file:
            return file.read()
    keys = {"net.ipv4.ip_forward": "1", "kernel.shmmax": "65536", "kernel.msgmax": "4321",
            "fs.mqueue.msg_max": "7", "net/ipv4/conf/lo/forwarding": "1"}
    paths = [k if "/" in k else k.replace(".", "/") for k in keys]
    before = [value(p) for p in paths]
    out = c.check_output(["sh", "-c", "cat " + " ".join("/proc/sys/" + p for p in paths)],
                         lambda cfg: cfg["linux"].update(sysctl=keys))
    h.eq(list(keys.values()), out.split())
    h.eq(before, [value(p) for p in paths])


@h.test("sysctls outside the container's namespaces are refused")
def _(c):
    for key in ("kernel.core_pattern", "vm.swappiness", "kernel.hostname", "fs.file-max",
                "kernel.panic", "net.ipv4.ip_forward/../../../kernel/core_pattern",
                "net..ipv4", "kernel.shmmax\nkernel.x", "", "net", "kernel.shm+x"):
        c.run(c.bundle(["true"], lambda cfg, k=key: cfg["linux"].update(sysctl={k: "1"}))).fails()
    for kind, key in (("network", "net.ipv4.ip_forward"), ("ipc", "kernel.shmmax")):
        def edit(config, kind=kind, key=key):
            drop_namespace(config, kind)
            config["linux"]["sysctl"] = {key: "1"}
        c.run(c.bundle(["true"], edit)).fails()


@h.test("a user namespace: ids are mapped, root inside is nobody outside")
def _(c):
    box = c.sleeper(edit=user_namespace).give(100000)
    c.up(box)
    pid = c.state(box)["pid"]
    with open("/proc/%d/uid_map" % pid, encoding="ascii") as file:
        h.eq(["0", "100000", "65536"], file.read().split())
    h.eq(100000, status_uid(pid))
    h.eq("0\n", c.exec(box, "id", "-u").ok().out)


def status_uid(pid):
    with open("/proc/%d/status" % pid, encoding="ascii") as file:
        return [int(line.split()[1]) for line in file if line.startswith("Uid:")][0]


@h.test("in a user namespace root may do as root does inside, and nothing outside")
def _(c):
    def edit(config):
        user_namespace(config)
        from bundle import MANY_CAPS, cap_sets
        config["process"]["capabilities"] = cap_sets(MANY_CAPS)
    with open(c.path("secret"), "w", encoding="ascii") as file:
        file.write("secret\n")
    os.chmod(c.path("secret"), 0o600)
    box = c.bundle(["sh", "-c", "hostname renamed && hostname; mount -t tmpfs x /mnt && echo mnt;"
                                " cat /secret || echo kept"], edit).give(100000)
    box.config["mounts"].append({"destination": "/secret", "type": "bind",
                                 "source": c.path("secret"), "options": ["bind"]})
    box.write()
    h.eq("renamed\nmnt\nkept\n", c.run(box).ok().out)


@h.test("a user namespace that maps no root works for the user that it maps")
def _(c):
    h.only_ours("others need a mapped root")

    def edit(config):
        namespace(config, "user")
        for key in ("uidMappings", "gidMappings"):
            config["linux"][key] = [{"containerID": 1000, "hostID": 101000, "size": 10}]
        config["process"]["user"] = {"uid": 1000, "gid": 1000}
        config["mounts"] = [m for m in config["mounts"] if m["type"] in ("proc", "tmpfs")]
    box = c.bundle(["id", "-u"], edit).give(101000)
    h.eq("1000\n", c.run(box).ok().out)


@h.test("a new user namespace without mappings has the caller as its root, for users or groups")
def _(c):
    h.only_ours("runc refuses it")
    own = [{"containerID": 0, "hostID": 100000, "size": 10}]
    for uids, gids in ((None, None), (own, None), (None, own)):
        def edit(config, uids=uids, gids=gids):
            namespace(config, "user")
            for key, maps in (("uidMappings", uids), ("gidMappings", gids)):
                if maps:
                    config["linux"][key] = maps
            for mount in config["mounts"]:
                mount["options"] = [o for o in mount["options"] if not o.startswith("gid=")]
        box = c.bundle(["sh", "-c", "id -u; id -g; cat /proc/self/uid_map /proc/self/gid_map"], edit)
        os.chown(box.rootfs, 100000 if uids else 0, 100000 if gids else 0)
        done = c.rt("--debug", "run", "--bundle", box.path, box.id).ok()
        lines = done.out.splitlines()
        h.eq(["0", "0"], lines[:2])
        h.eq([["0", "100000", "10"] if maps else ["0", "0", "1"] for maps in (uids, gids)],
             [line.split() for line in lines[2:]])
        for key, maps in (("uidMappings", uids), ("gidMappings", gids)):
            h.eq(not maps, "linux.%s: not set: 0 0 1" % key in done.err, done.err)


@h.test("mappings without a user namespace are refused")
def _(c):
    h.only_ours("others ignore them")

    def only_maps(config):
        user_namespace(config)
        drop_namespace(config, "user")
    c.run(c.bundle(["true"], only_maps)).fails()


@h.test("an id that the mapping lacks is refused in words")
def _(c):
    def edit(config):
        user_namespace(config, size=1000)
        config["process"]["user"] = {"uid": 5000, "gid": 0}
    c.run(c.bundle(["true"], edit).give(100000)).fails()


@h.test("a user namespace of another container is joined, equal mappings are tolerated")
def _(c):
    first = c.up(c.sleeper(edit=user_namespace).give(100000))
    pid = c.state(first)["pid"]

    def edit(config):
        user_namespace(config)
        namespace(config, "user", "/proc/%d/ns/user" % pid)
    second = c.bundle(["readlink", "/proc/self/ns/user"], edit).give(100000)
    done = c.run(second)
    if not h.is_ours() and done.status:
        h.skip("this runtime refuses equal mappings")
    h.eq(os.readlink("/proc/%d/ns/user" % pid), done.ok().out.strip())


@h.test("timeOffsets shift the clocks of a time namespace", needs=("time_namespace",))
def _(c):
    h.only_ours("newer than others")

    def edit(config):
        namespace(config, "time")
        config["linux"]["timeOffsets"] = {"monotonic": {"secs": 100000},
                                          "boottime": {"secs": 200000, "nanosecs": 5}}
    out = c.check_output(["probe", "clocks"], edit)
    values = dict(word.split("=") for word in out.split())
    import time
    h.true(abs(int(values["monotonic"]) - time.clock_gettime(time.CLOCK_MONOTONIC) - 1e5) < 10,
           out)
    h.true(abs(int(values["boottime"]) - time.clock_gettime(time.CLOCK_BOOTTIME) - 2e5) < 10, out)


@h.test("timeOffsets without a time namespace are refused")
def _(c):
    h.only_ours("newer than others")
    c.run(c.bundle(["true"], lambda cfg: cfg["linux"].update(
        timeOffsets={"monotonic": {"secs": 1}}))).fails()


@h.test("exec joins every namespace of the container, user and time too")
def _(c):
    def edit(config):
        user_namespace(config)
        if h.is_ours():
            namespace(config, "time")
    box = c.up(c.sleeper(edit=edit).give(100000))
    found = inside(c, box)
    out = c.exec(box, "sh", "-c", "for n in %s; do readlink /proc/self/ns/$n; done" %
                 " ".join(FILES.values())).ok().out.split()
    h.eq([found[kind] for kind in FILES if kind in found], out)


if __name__ == "__main__":
    h.main()
