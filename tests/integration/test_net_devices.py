#!/usr/bin/env python3
"""linux.netDevices: devices of the caller's network namespace (here: the test's own) move."""
import json
import os
import subprocess

import faults
import harness as h
from bundle import drop_namespace, namespace
from faults import Points, Strike


def ip(*words):
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


class Devices:
    """A pair of devices: "wire0", with addresses, and its other end."""

    def __enter__(self):
        ip("link", "set", "lo", "up")
        ip("link", "add", "wire0", "type", "veth", "peer", "name", "end0")
        ip("link", "set", "wire0", "mtu", "1400", "address", "02:00:00:00:00:07")
        for words in (["10.9.0.1/24"], ["10.9.0.2/24"], ["10.8.0.1", "peer", "10.8.0.2/32"],
                      ["169.254.7.7/16", "scope", "link"],
                      ["10.7.0.1/24", "valid_lft", "1000", "preferred_lft", "1000"],
                      ["2001:db8::5/64", "nodad"]):
            ip("address", "add", *words, "dev", "wire0")
        ip("link", "set", "wire0", "up")
        ip("link", "set", "end0", "up")
        return self

    def __exit__(self, *_):
        for name in ("wire0", "end0", "other0"):
            subprocess.run(["ip", "link", "del", name], check=False, capture_output=True)


def link(name):
    """What there is to say of a device, without what time changes; None if there is none."""
    done = subprocess.run(["ip", "-json", "address", "show", "dev", name], check=False,
                          capture_output=True, text=True)
    if done.returncode:
        return None
    found = json.loads(done.stdout)[0]
    addresses = [(a["local"], a.get("address"), a["prefixlen"]) for a in found["addr_info"]
                 if a["scope"] == "global" and not a.get("dynamic")]
    return {"index": found["ifindex"], "up": "UP" in found["flags"], "mtu": found["mtu"],
            "mac": found["address"], "addresses": addresses}


KEPT = [("10.8.0.1", "10.8.0.2", 32), ("10.9.0.1", None, 24), ("10.9.0.2", None, 24),
        ("2001:db8::5", None, 64)]


def devices(config, **names):
    config["linux"]["netDevices"] = {key: {"name": name} if name else {}
                                     for key, name in names.items()}


class Namespace:
    """A network namespace of its own, held by a process; .path is its file."""

    def __enter__(self):
        self.holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; exec sleep 1000"],
                                       stdout=subprocess.PIPE)
        self.holder.stdout.readline()
        self.path = "/proc/%d/ns/net" % self.holder.pid
        return self

    def __exit__(self, *_):
        self.holder.kill()
        self.holder.wait()

    def run(self, *words):
        return subprocess.run(["nsenter", "--net=" + self.path, *words], check=True,
                              capture_output=True, text=True).stdout


@h.test("a device moves with its settings and its permanent global addresses, and is up",
        needs=("veth",))
def _(c):
    h.only_ours("newer than others")
    with Devices():
        before = link("wire0")
        h.eq(sorted(KEPT, key=str), sorted(before["addresses"], key=str))
        out = c.check_output(["ip", "address", "show", "dev", "wire0"],
                             lambda cfg: devices(cfg, wire0=""))
        h.true(link("wire0") is None, "it is still here")
    h.match(r"wire0@.*[<,]UP[,>].* mtu 1400 ", out)
    h.has("02:00:00:00:00:07", out)
    for address in ("10.9.0.1/24", "10.9.0.2/24", "10.8.0.1 peer 10.8.0.2/32", "2001:db8::5/64"):
        h.has(address, out)
    for address in ("169.254.7.7", "10.7.0.1"):
        h.lacks(address, out, "not a permanent one of global scope")


@h.test("a device gets another name, or one that the kernel makes of a template", needs=("veth",))
def _(c):
    h.only_ours("newer than others")
    for wanted, found in (("eth7", "eth7"), ("net%d", "net0")):
        with Devices():
            out = c.check_output(["cat", "/proc/net/dev"],
                                 lambda cfg, w=wanted: devices(cfg, wire0=w))
        h.match(r"^ *%s:" % found, out)
        h.lacks("wire0", out)


@h.test("two devices with one template get two names", needs=("veth",))
def _(c):
    h.only_ours("newer than others")
    with Devices():
        out = c.check_output(["cat", "/proc/net/dev"],
                             lambda cfg: devices(cfg, wire0="net%d", end0="net%d"))
    h.match(r"^ *net0:", out)
    h.match(r"^ *net1:", out)


@h.test("the device is there for hooks and for sysctls of its own", needs=("veth",))
def _(c):
    h.only_ours("newer than others")
    with Devices():
        def edit(config):
            devices(config, wire0="eth7")
            config["linux"]["sysctl"] = {"net.ipv4.conf.eth7.forwarding": "1"}
            config["hooks"] = {"createRuntime": [{
                "path": "/bin/sh", "args": ["sh", "-c", "test ! -e /sys/class/net/wire0 && "
                                            "ip link show wire0 2>&1 | grep 'does not exist' > %s"
                                            % c.path("hook")]}]}
        h.eq("1\n", c.check_output(["cat", "/proc/sys/net/ipv4/conf/eth7/forwarding"], edit))
    h.true(os.path.getsize(c.path("hook")) > 0, "the hook saw the device on the host")


@h.test("a joined network namespace keeps the device after delete", needs=("veth",))
def _(c):
    h.only_ours("newer than others")
    with Devices(), Namespace() as space:
        def edit(config):
            devices(config, wire0="eth7")
            namespace(config, "network", space.path)
        box = c.up(c.sleeper(edit=edit))
        c.delete(box, "-f").ok()
        h.has("10.9.0.1/24", space.run("ip", "address", "show", "eth7"))
        h.true(link("wire0") is None, "it came back")


@h.test("a number that is taken in the namespace is no obstacle", needs=("veth",))
def _(c):
    h.only_ours("newer than others")
    with Devices(), Namespace() as space:
        index = link("wire0")["index"]
        for number in (index, index + 1):
            space.run("ip", "link", "add", "taken%d" % number, "index", str(number), "type",
                      "bridge")

        def edit(config):
            devices(config, wire0="net%d")
            namespace(config, "network", space.path)
        h.has("10.9.0.1/24", c.check_output(["ip", "address", "show", "net0"], edit))


@h.test("what cannot be moved is refused by name, and everything is as before", needs=("veth",))
def _(c):
    h.only_ours("newer than others")
    with Devices(), Namespace() as space:
        space.run("ip", "link", "add", "eth0", "type", "bridge")
        ip("link", "add", "other0", "type", "bridge")
        before = link("wire0"), link("end0")

        def joined(config):
            namespace(config, "network", space.path)

        def own(config):
            namespace(config, "network", "/proc/self/ns/net")
        for names, edit, words in (
                ({"absent0": ""}, None, r'netDevices\["absent0"\]: no such network device'),
                ({"wire0": "", "absent0": ""}, None, r'netDevices\["absent0"\]: no such'),
                ({"wire0": "lo"}, None, r'netDevices\["wire0"\]: .*"lo" exists already'),
                ({"wire0": "eth0"}, joined, r'"eth0" exists already'),
                ({"wire0": "", "end0": "eth0"}, joined, r'"eth0" exists already'),
                ({"lo": "lo1"}, None, r'netDevices\["lo"\]: moving it .*(immutable|invalid)'),
                ({"wire0": "net%d", "other0": ""}, None, r'netDevices\["other0"\]: moving it '),
                ({"wire0": "eth1"}, own, r"the runtime's own"),
                ({"wire0": "a/b"}, None, r'netDevices\.?\[?"?wire0.*not a possible name'),
                ({"wire0": "%dx"}, None, r"not a possible name")):
            def change(config, names=names, edit=edit):
                devices(config, **names)
                if edit:
                    edit(config)
            c.run(c.bundle(["true"], change)).fails(words)
            h.eq(before, (link("wire0"), link("end0")), str(names))
        box = c.bundle(["true"], lambda cfg: (drop_namespace(cfg, "network"),
                                              devices(cfg, wire0="")))
        c.run(box).fails("needs a network namespace")


@h.test("a device that was down and comes back is down", needs=("veth",))
def _(c):
    h.only_ours("newer than others")
    with Devices():
        ip("link", "set", "wire0", "down")
        before = link("wire0")
        c.run(c.bundle(["/no/such/program"], lambda cfg: devices(cfg, wire0="eth7"))).fails()
        h.eq(before, link("wire0"))


@h.test("whichever call fails, create works or brings the device back", needs=("veth",))
def _(c):
    h.only_ours("newer than others")
    box = c.sleeper(edit=lambda cfg: devices(cfg, wire0="eth7"))
    args = ["create", "--bundle", box.path, box.id]
    with Devices():
        total = faults.count(c, args)
        c.rt("delete", "--force", box.id).ok()
    points = Points(c)
    for number in range(20, total + 1, min(faults.STRIDE, 15)):
        with Devices():
            before = link("wire0")
            strike = Strike(c, ["-n", str(number), "-e", "EIO"], args)
            if strike.hung:
                points.note(number, "hung: " + strike.words())
            if strike.status != 0 and link("wire0") != before:
                points.note(number, "%s is not %s: %s" % (link("wire0"), before, strike.words()))
            points.cleaned(number, box)
    points.judge()


@h.test("create killed at every call: the device is here, or gone with the namespace",
        needs=("veth",))
def _(c):
    h.only_ours("newer than others")
    box = c.sleeper(edit=lambda cfg: devices(cfg, wire0="eth7"))
    args = ["create", "--bundle", box.path, box.id]
    with Devices():
        total = faults.count(c, args)
        c.rt("delete", "--force", box.id).ok()
    points = Points(c)
    for number in range(60, total + 1, min(5 * faults.STRIDE, 15)):
        with Devices():
            strike = Strike(c, ["-n", str(number), "-k"], args)
            if strike.hung:
                points.note(number, "hung: " + strike.words())
            points.cleaned(number, box)
            h.until(lambda: (link("wire0") is None) == (link("end0") is None),
                    "both ends to be here or gone after call %d" % number)
    points.judge()


if __name__ == "__main__":
    h.main()
