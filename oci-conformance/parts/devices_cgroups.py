"""config-linux.md: devices, cgroups and resources, unified, IntelRdt."""
import os

import corner
from bundle import caps, mount
from case import read_all
from rules import eq, may, must, must_not, should, should_not, skip, true, untestable

# ---- devices -----------------------------------------------------------------------------------

DEVICES = "config-linux.md#devices"
STAT = "stat -c '%F %a %u %g %t %T' "


def device(**fields):
    entry = {"type": "c", "path": "/dev/conf", "major": 1, "minor": 3}
    entry.update(fields)
    return lambda box: box.config["linux"].update(devices=[{k: v for k, v in entry.items()
                                                           if v is not None}])


@must("L60", DEVICES, "character, block and fifo devices are there")
def _(c):
    for kind, word in (("c", "character special file"), ("u", "character special file"),
                       ("b", "block special file")):
        text = c.prints(STAT + "/dev/conf", device(type=kind, major=7, minor=1))
        true(text.startswith(word) and text.endswith(" 7 1\n"), "%s: %s" % (kind, text))
    text = c.prints(STAT + "/dev/conf", device(type="p", major=None, minor=None))
    true(text.startswith("fifo"), text)


@must("L61", DEVICES, "fileMode, uid and gid are the device's")
def _(c):
    eq("character special file 640 5 6 1 3\n", c.prints(STAT + "/dev/conf", device(
        fileMode=0o640, uid=5, gid=6)))


@must("L62", DEVICES, "a file at path that is not this device is an error")
def _(c):
    def edit(box):
        box.put("opt/conf", "a file")
        device(path="/opt/conf")(box)
    c.refused(edit)


@may("L63", DEVICES, "a device may be outside /dev")
def _(c):
    true(c.prints(STAT + "/opt/sub/conf", device(path="/opt/sub/conf")).startswith("character"),
         "not there")


@must("L64", DEVICES, "path is required and type is one of c, b, u, p")
def _(c):
    c.refused(device(path=None))
    c.refused(device(type="x"))


@must("L65", DEVICES, "major and minor are required but for a fifo")
def _(c):
    c.refused(device(major=None, minor=None))


untestable("L66", "SHOULD NOT", DEVICES, "one device number is not given twice",
           "a rule for whoever writes the bundle; nothing says what a runtime does with it")

for _number, _name, _device in (
        ("L67", "null", "1 3"), ("L68", "zero", "1 5"), ("L69", "full", "1 7"),
        ("L70", "random", "1 8"), ("L71", "urandom", "1 9"), ("L72", "tty", "5 0")):
    @must(_number, "config-linux.md#default-devices", "/dev/%s is there without asking" % _name)
    def _(c, name=_name, numbers=_device):
        text = c.prints("%s /dev/%s; echo -n < /dev/%s && echo opened" % (
            STAT, name, name if name != "tty" else "null"))
        true(text.startswith("character special file 666 0 0 %s\n" % numbers), text)
        true(text.endswith("opened\n"), text)


@must("L73", "config-linux.md#default-devices", "/dev/console is the terminal if there is one")
def _(c):
    box = c.shell("%s -L /dev/console; echo console > /dev/console; sleep 0.1" % STAT,
                  terminal=True)
    master = c.terminal(box)
    c.start(box).ok()
    text = read_all(master)
    os.close(master)
    true(text.startswith("character special file") and "console\n" in text, text)


@must("L74", "config-linux.md#default-devices", "/dev/ptmx is that of the container's /dev/pts")
def _(c):
    box = c.shell("ls /dev/pts; exec 3<>/dev/ptmx; ls /dev/pts; readlink /dev/ptmx")
    words = c.result(box).split()
    eq("ptmx", words[0])
    true("0" in words, "no pseudo terminal was made in the container's own: %s" % words)


# ---- cgroups -----------------------------------------------------------------------------------

PATH = "config-linux.md#cgroups-path"


def group(box):
    return corner.CGROUP + box.config["linux"]["cgroupsPath"]


def members(folder):
    with open(folder + "/cgroup.procs", encoding="ascii") as file:
        return [int(line) for line in file]


@must("L80", PATH, "an absolute cgroupsPath is below the mount point of the cgroups")
def _(c):
    box = c.bundle()
    box.config["linux"]["cgroupsPath"] = "/conf-top/sub/%s" % box.id
    c.up(box)
    eq([box.pid], members(group(box)))
    c.delete(box, "--force").ok()
    corner.remove_tree(corner.CGROUP + "/conf-top")


@may("L81", PATH, "a relative cgroupsPath has a place of the runtime's choice")
def _(c):
    box = c.bundle()
    box.config["linux"]["cgroupsPath"] = "conf-relative/" + box.id
    c.up(box)
    with open("/proc/%d/cgroup" % box.pid, encoding="ascii") as file:
        true("conf-relative/" + box.id in file.read(), "not in it")


@must("L82", PATH, "the same cgroupsPath is the same place every time")
def _(c):
    box = c.bundle()
    places = []
    for _ in range(2):
        c.up(box)
        with open("/proc/%d/cgroup" % box.pid, encoding="ascii") as file:
            places.append([line for line in file if line.startswith("0::")])
        c.stop(box)
        c.delete(box).ok()
    eq(places[0], places[1])


@may("L83", PATH, "without cgroupsPath the place is the runtime's choice")
def _(c):
    box = c.bundle()
    box.config["linux"].pop("cgroupsPath")
    c.up(box)


@must("L84", PATH, "a cgroupsPath that is refused is refused with an error")
def _(c):
    box = c.bundle("echo", "alive")
    box.config["linux"]["cgroupsPath"] = "/conf-a/../../../conf-outside"
    done = c.create(box)
    if done.status:
        done.error()
    else:
        # Accepted: then it must not have led out of the tree.
        c.start(box).ok()
        c.wait(box)
    true(not os.path.exists(corner.CGROUP + "/../conf-outside"), "it left the mount point")


@must("L85", PATH, "cgroups that do not exist are made")
def _(c):
    box = c.bundle()
    true(not os.path.exists(group(box)), "it is there before")
    c.up(box)
    eq([box.pid], members(group(box)))


@must("L86", "config-linux.md#control-groups", "a cgroup that is refused as unfit is an error")
def _(c):
    box = c.bundle()
    os.mkdir(group(box))
    with open(group(box) + "/cgroup.freeze", "w", encoding="ascii") as file:
        file.write("1")
    done = c.create(box)
    if done.status == 0:
        with open(group(box) + "/cgroup.freeze", "w", encoding="ascii") as file:
            file.write("0")
        skip("a frozen cgroup is accepted, and the check is optional")
    done.error()


# ---- ownership ---------------------------------------------------------------------------------

OWNER = "config-linux.md#cgroup-ownership"
LISTED = ["cgroup.procs", "cgroup.subtree_control", "cgroup.threads"]


def delegated():
    try:
        with open("/sys/kernel/cgroup/delegate", encoding="ascii") as file:
            return file.read().split()
    except FileNotFoundError:
        return LISTED


def owned(c, *, options=("rw",), namespace=True):
    """Owners of the container's cgroup: {name: uid}."""
    box = c.bundle().user_namespace()
    if not namespace:
        box.drop_namespace("cgroup")
    if options is not None:
        box.config["mounts"].append(mount("/sys/fs/cgroup", "cgroup", "cgroup", *options))
    c.up(box)
    folder = group(box)
    return {name: os.stat(os.path.join(folder, name)).st_uid
            for name in ["."] + os.listdir(folder)}


@should("L87", OWNER, "a writable cgroup mount: the cgroup and the listed files change their owner")
def _(c):
    found = owned(c)
    eq({100000}, {found[name] for name in ["."] + delegated() if name in found}, found)


@should_not("L88", OWNER, "no other file of the cgroup changes its owner")
def _(c):
    found = owned(c)
    eq({}, {k: v for k, v in found.items() if k not in ["."] + delegated() and v})


@should_not("L89", OWNER, "a read-only cgroup mount: no change of owners")
def _(c):
    eq({0}, set(owned(c, options=("ro",)).values()))


@should_not("L90", OWNER, "without a cgroup mount: no change of owners")
def _(c):
    eq({0}, set(owned(c, options=None).values()))


@should_not("L91", OWNER, "without a cgroup namespace of its own: no change of owners")
def _(c):
    eq({0}, set(owned(c, namespace=False).values()))


@must_not("L92", OWNER, "a listed file that is missing is no error")
def _(c):
    missing = [name for name in delegated() if name not in owned(c)]
    if not missing:
        skip("every listed file exists here")


untestable("L93", "MUST", OWNER, "without /sys/kernel/cgroup/delegate a fixed list is used",
           "the file exists on every kernel with cgroup v2 since 4.15; nothing can take it away")
untestable("L94", "SHOULD NOT", OWNER, "owners are not changed on cgroup v1",
           "the suite needs cgroup v2")

# ---- allowed devices ---------------------------------------------------------------------------

ALLOWED = "config-linux.md#allowed-device-list"
# Two devices that no runtime allows by itself. Opening one gives EPERM if the list forbids it, and
# something else, if only ENXIO, where it is allowed. Making the nodes is allowed by most.
SCRIPT = """try() { (eval ": $2 $1") 2>&1 | grep -q "not permitted" || echo "$3"; }
mknod /tmp/fuse c 10 229; mknod /tmp/loop c 10 237
try /tmp/fuse '<' fuse-read; try /tmp/fuse '>' fuse-write; try /tmp/loop '<' loop-read; echo done"""


def allowed(c, *entries):
    """What of the above is allowed, as a list of words."""
    def edit(box):
        box.config["linux"]["resources"]["devices"] = [
            {"allow": False, "access": "rwm"}, {"allow": True, "type": "c", "major": 10,
                                                "access": "m"}, *entries]
        box.config["process"]["capabilities"] = caps("CAP_MKNOD")
    words = c.prints(SCRIPT, edit).split()
    eq("done", words[-1])
    return words[:-1]


def fuse(allow, access="rwm", **more):
    return dict({"allow": allow, "type": "c", "major": 10, "minor": 229, "access": access}, **more)


@must("L95", ALLOWED, "entries are applied in the listed order: the last that fits decides")
def _(c):
    eq([], allowed(c, fuse(True), fuse(False)))
    eq(["fuse-read", "fuse-write"], allowed(c, fuse(False), fuse(True)))


@must("L96", ALLOWED, "allow and deny are what they say")
def _(c):
    eq([], allowed(c))
    eq(["fuse-read", "fuse-write"], allowed(c, fuse(True)))


@must("L97", ALLOWED, "an unset minor means all")
def _(c):
    entry = fuse(True)
    del entry["minor"]
    eq(["fuse-read", "fuse-write", "loop-read"], allowed(c, entry))


@must("L98", ALLOWED, "an unset type means all devices")
def _(c):
    eq(["fuse-read", "fuse-write", "loop-read"], allowed(c, {"allow": True, "access": "rwm"}))


@must("L99", ALLOWED, "access is made of r, w and m")
def _(c):
    eq(["fuse-read"], allowed(c, fuse(True, "r")))
    c.refused(lambda box: box.config["linux"]["resources"]["devices"].append(fuse(True, "rwx")))


# ---- resources ---------------------------------------------------------------------------------

def controller(name):
    with open(corner.CGROUP + "/cgroup.controllers", encoding="ascii") as file:
        if name not in file.read().split():
            skip("no cgroup v2 controller " + name)


def files(c, resources, *names, **top):
    box = c.bundle()
    box.config.update(top)
    box.config["linux"]["resources"].update(resources)
    c.up(box)
    out = []
    for name in names:
        with open(os.path.join(group(box), name), encoding="ascii") as file:
            out.append(file.read().strip())
    return out


@must("L100", "config-linux.md#memory", "memory limit, reservation and swap")
def _(c):
    controller("memory")
    eq(["67108864", "33554432", "67108864"], files(
        c, {"memory": {"limit": 64 << 20, "reservation": 32 << 20, "swap": 128 << 20}},
        "memory.max", "memory.low", "memory.swap.max"))


@must("L101", "config-linux.md#memory", "checkBeforeUpdate refuses a limit below the usage")
def _(c):
    controller("memory")
    skip("is about changing a running container, which is none of the five operations")


@must("L102", "config-linux.md#cpu", "cpu quota and period")
def _(c):
    controller("cpu")
    eq(["5000 10000"], files(c, {"cpu": {"quota": 5000, "period": 10000}}, "cpu.max"))


@must("L103", "config-linux.md#cpu", "a burst above the quota is not accepted")
def _(c):
    controller("cpu")
    box = c.bundle()
    box.config["linux"]["resources"]["cpu"] = {"quota": 5000, "period": 10000, "burst": 6000}
    done = c.create(box)
    if done.status == 0:
        with open(group(box) + "/cpu.max.burst", encoding="ascii") as file:
            true(int(file.read()) <= 5000, "it was")


@must("L104", "config-linux.md#cpu", "cpus and mems")
def _(c):
    controller("cpuset")
    eq(["0", "0"], files(c, {"cpu": {"cpus": "0", "mems": "0"}}, "cpuset.cpus", "cpuset.mems"))


@must("L105", "config-linux.md#block-io", "an entry of weightDevice has a weight")
def _(c):
    c.refused(lambda box: box.config["linux"]["resources"].update(
        blockIO={"weightDevice": [{"major": 8, "minor": 0}]}))


@must("L106", "config-linux.md#pids", "a limit of processes")
def _(c):
    controller("pids")
    eq(["77"], files(c, {"pids": {"limit": 77}}, "pids.max"))


@must("L107", "config-linux.md#pids", "-1 is no limit")
def _(c):
    controller("pids")
    eq(["max"], files(c, {"pids": {"limit": -1}}, "pids.max"))


@should("L108", "config-linux.md#pids", "0 is a limit")
def _(c):
    controller("pids")
    # 1 is as much of a limit: the container has its one process with either, and no second.
    found = files(c, {"pids": {"limit": 0}}, "pids.max", ociVersion="1.3.0")
    true(found in (["0"], ["1"]), found)


def page_size():
    for name, text in (("2MB", 2 << 20), ("1GB", 1 << 30), ("64KB", 64 << 10)):
        if any(f.startswith("hugetlb.%s." % name) for f in os.listdir(corner.CGROUP + "/suite")):
            return name, text
    skip("no huge pages")


@must("L109", "config-linux.md#huge-page-limits", "a limit of huge pages")
def _(c):
    controller("hugetlb")
    name, size = page_size()
    limits = {"hugepageLimits": [{"pageSize": name, "limit": 4 * size}]}
    found = files(c, limits, "hugetlb.%s.max" % name, "hugetlb.%s.rsvd.max" % name)
    true(str(4 * size) in found, found)


@must("L110", "config-linux.md#huge-page-limits", "a page size the kernel has not is an error")
def _(c):
    controller("hugetlb")
    c.refused(lambda box: box.config["linux"]["resources"].update(
        hugepageLimits=[{"pageSize": "3MB", "limit": 3 << 20}]))


@must("L111", "config-linux.md#rdma", "an entry has hcaHandles or hcaObjects")
def _(c):
    c.refused(lambda box: box.config["linux"]["resources"].update(rdma={"mlx5_0": {}}))


@must("L112", "config-linux.md#unified", "the controllers that unified needs are enabled")
def _(c):
    controller("hugetlb")
    name, size = page_size()
    eq([str(size)], files(c, {"unified": {"hugetlb.%s.max" % name: str(size)}},
                          "hugetlb.%s.max" % name))


@must("L113", "config-linux.md#unified", "a file that the runtime does not know is written as well")
def _(c):
    eq(["5"], files(c, {"unified": {"cgroup.max.descendants": "5"}}, "cgroup.max.descendants"))


@must("L114", "config-linux.md#unified", "a controller that is not there is an error")
def _(c):
    c.refused(lambda box: box.config["linux"]["resources"].update(unified={"nosuch.max": "1"}))


@must("L115", "config-linux.md#unified", "a value that cannot be converted from v1 is an error")
def _(c):
    c.refused(lambda box: box.config["linux"]["resources"].update(
        cpu={"realtimeRuntime": 1000, "realtimePeriod": 10000}))


@must("L116", "config-linux.md#unified", "a limit whose controller is missing is an error")
def _(c):
    with open(corner.CGROUP + "/cgroup.controllers", encoding="ascii") as file:
        have = file.read().split()
    for name, resources in (("memory", {"memory": {"limit": 64 << 20}}),
                            ("pids", {"pids": {"limit": 77}}),
                            ("cpuset", {"cpu": {"cpus": "0"}})):
        if name not in have:
            c.refused(lambda box, r=resources: box.config["linux"]["resources"].update(r))
            return
    skip("every controller is there")


# ---- IntelRdt ----------------------------------------------------------------------------------

RDT = "config-linux.md#intelrdt"


def mounted_resctrl():
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
        return any(" - resctrl " in line for line in file)


@must("L120", RDT, "intelRdt without a mounted resctrl is an error")
def _(c):
    if mounted_resctrl():
        skip("a resctrl is mounted here")
    c.refused(lambda box: box.config["linux"].update(intelRdt={"closID": "conf"}))


for _number, _level, _text in (
        ("L121", "MUST", "the process goes to the tasks file of the group closID names"),
        ("L122", "MUST NOT", "without intelRdt no resctrl is touched"),
        ("L123", "MUST", "closID / is the default group"),
        ("L124", "SHOULD", "l3CacheSchema begins with L3: and has no newline"),
        ("L125", "MUST", "memBwSchema begins with MB: and has no newline"),
        ("L126", "MUST", "an element of schemata has no newline"),
        ("L127", "MUST", "l3CacheSchema is written first, memBwSchema after it"),
        ("L128", "MUST", "either of them alone is written"),
        ("L129", "MUST", "schemata is written, after those"),
        ("L130", "MUST NOT", "without any of the three no schemata file is written"),
        ("L131", "MUST", "without closID the group has the container's id"),
        ("L132", "MUST", "closID with a schema: a missing group is made"),
        ("L133", "MUST", "closID with a schema: a group with another schema is an error"),
        ("L134", "MUST", "closID without a schema: the group must exist"),
        ("L135", "MUST", "a group the runtime made goes with the container"),
        ("L136", "MUST NOT", "another group stays"),
        ("L137", "MUST", "enableMonitoring: a MON group with the container's id, removed at the end")):
    untestable(_number, _level, RDT, _text, "needs a processor with Intel RDT and a mounted resctrl")
