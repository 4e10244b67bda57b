"""config-linux.md: default file systems, namespaces, mappings, time offsets, paths, propagation,
personality, sysctl, memory policy, network devices."""
import os
import shutil
import subprocess

from bundle import bind
from case import mount_lines, until
from rules import eq, may, must, must_not, should, should_not, skip, true, untestable

FILES = {"pid": "pid", "network": "net", "mount": "mnt", "ipc": "ipc", "uts": "uts",
         "user": "user", "cgroup": "cgroup", "time": "time"}


def space(pid, kind):
    return os.readlink("/proc/%s/ns/%s" % (pid, FILES[kind]))


def need(kind):
    if not os.path.exists("/proc/self/ns/" + FILES[kind]):
        skip("the kernel has no %s namespaces" % kind)


# ---- default file systems ----------------------------------------------------------------------

for _number, _path, _kind in (("L1", "/proc", "proc"), ("L2", "/sys", "sysfs"),
                              ("L3", "/dev/pts", "devpts"), ("L4", "/dev/shm", "tmpfs")):
    @should(_number, "config-linux.md#default-filesystems", "%s can be had as a %s" % (_path, _kind))
    def _(c, path=_path, kind=_kind):
        lines = mount_lines(c.prints("cat /proc/self/mountinfo"))
        eq(kind, lines[path][2])


# ---- namespaces --------------------------------------------------------------------------------

for _number, _kind in zip(("L5", "L6", "L7", "L8", "L9", "L10", "L11", "L12"), FILES):
    @must(_number, "config-linux.md#namespaces", "a new %s namespace without a path" % _kind)
    def _(c, kind=_kind):
        need(kind)
        box = c.bundle()
        if kind == "user":
            box.user_namespace()
        else:
            box.set_namespace(kind)
        c.up(box)
        true(space(box.pid, kind) != space("self", kind), "it is the runtime's")

for _number, _kind in zip(("L13", "L14", "L15", "L16", "L17", "L18", "L19", "L20"), FILES):
    @must(_number, "config-linux.md#namespaces", "the %s namespace at path is joined" % _kind)
    def _(c, kind=_kind):
        need(kind)
        box = c.bundle()
        if kind == "mount":  # one that still shows the bundle
            owner = subprocess.Popen(["unshare", "--mount", "sleep", "1000"])
            box.config["mounts"] = box.config["mounts"][:1]  # /proc
            until(lambda: space(owner.pid, kind) != space("self", kind), "the namespace")
            pid = owner.pid
        else:
            owner, pid = None, other_container(c, box, kind)
        try:
            box.set_namespace(kind, "/proc/%d/ns/%s" % (pid, FILES[kind]))
            c.up(box)
            eq(space(pid, kind), space(box.pid, kind))
        finally:
            if owner:
                owner.kill()
                owner.wait()


def other_container(c, box, kind):
    """Another container's process; with its user namespace `box` takes what belongs to that."""
    other = c.bundle()
    if kind == "user":
        other.user_namespace()
        box.give(100000)
    else:
        other.set_namespace(kind)
    c.up(other)
    if kind == "user":
        for more in ("pid", "network", "ipc", "uts"):
            box.set_namespace(more, "/proc/%d/ns/%s" % (other.pid, FILES[more]))
    return other.pid


for _number, _kind in zip(("L21", "L22", "L23", "L24", "L25", "L26", "L27", "L28"), FILES):
    @must(_number, "config-linux.md#namespaces", "a path of another type for %s is an error" % _kind)
    def _(c, kind=_kind):
        need(kind)
        other = "uts" if kind != "uts" else "ipc"
        c.refused(lambda box: box.set_namespace(kind, "/proc/self/ns/" + FILES[other]))

for _number, _kind in zip(("L29", "L30", "L31", "L32", "L33", "L34", "L35", "L36"), FILES):
    @must(_number, "config-linux.md#namespaces", "without %s in the list it is inherited" % _kind)
    def _(c, kind=_kind):
        need(kind)
        box = c.bundle()
        box.drop_namespace(kind)
        if kind == "network":  # sysfs can only be mounted by the owner of the network namespace
            box.config["mounts"] = [m for m in box.config["mounts"] if m["type"] != "sysfs"]
        if kind == "mount":
            box.config["mounts"] = box.config["mounts"][:1]  # /proc
            box.config["root"]["path"] = box.rootfs
        c.up(box)
        eq(space("self", kind), space(box.pid, kind))


@must("L37", "config-linux.md#namespaces", "a namespace's path is absolute")
def _(c):
    box = c.bundle()
    box.set_namespace("network", "proc/self/ns/net")
    done = c.create(box, cwd="/")
    if done.status == 0:
        c.start(box).error()


@must("L38", "config-linux.md#namespaces", "a path that is no namespace is an error")
def _(c):
    plain = c.write("plain", "")
    for path in (plain, c.path("missing"), "/dev/null"):
        c.refused(lambda box, p=path: box.set_namespace("network", p))


@must("L39", "config-linux.md#namespaces", "the same type twice is an error")
def _(c):
    c.refused(lambda box: box.namespaces().append({"type": "uts"}))


@must("L40", "config-linux.md#namespaces", "an unknown type is an error")
def _(c):
    c.refused(lambda box: box.namespaces().append({"type": "no-such"}))


# ---- user namespace ----------------------------------------------------------------------------

@must("L41", "config-linux.md#user-namespace-mappings", "uidMappings are the user namespace's")
def _(c):
    def edit(box):
        box.user_namespace()
        box.config["linux"]["uidMappings"] = [
            {"containerID": 0, "hostID": 100000, "size": 10},
            {"containerID": 10, "hostID": 200000, "size": 5}]
    eq(["0", "100000", "10", "10", "200000", "5"],
       c.prints("cat /proc/self/uid_map", edit).split())


@must("L42", "config-linux.md#user-namespace-mappings", "gidMappings are the user namespace's")
def _(c):
    eq(["0", "100000", "65536"],
       c.prints("cat /proc/self/gid_map", lambda box: box.user_namespace()).split())


@should_not("L43", "config-linux.md#user-namespace-mappings", "owners of files are not changed")
def _(c):
    box = c.bundle("true").user_namespace()
    box.put("etc/owned", "")
    os.chown(box.file("etc/owned"), 1234, 1234)
    c.write("volume/file", "")
    box.config["mounts"].append(bind(c.path("volume"), "/mnt"))
    c.result(box)
    eq((1234, 0), (os.stat(box.file("etc/owned")).st_uid,
                   os.stat(c.path("volume", "file")).st_uid))


@may("L44", "config-linux.md#user-namespace-mappings", "a new user namespace may have no mappings")
def _(c):
    def edit(box):
        box.set_namespace("user")
        for mount in box.config["mounts"]:  # no group but 0 may be mapped
            mount["options"] = [o for o in mount.get("options", []) if not o.startswith("gid=")]
    own = os.readlink("/proc/self/ns/user")
    true(c.prints("readlink /proc/self/ns/user", edit).strip() != own, "the runtime's own")


# ---- time --------------------------------------------------------------------------------------

@must("L45", "config-linux.md#offset-for-time-namespace", "timeOffsets shift the clocks")
def _(c):
    need("time")
    box = c.bundle("cat", "/proc/uptime", "/proc/self/timens_offsets")
    box.set_namespace("time")
    box.config["linux"]["timeOffsets"] = {"boottime": {"secs": 1000000, "nanosecs": 5},
                                          "monotonic": {"secs": 7}}
    fields = c.result(box).split()
    true(float(fields[0]) > 1000000, "uptime %s" % fields[0])
    eq(["monotonic", "7", "0", "boottime", "1000000", "5"], fields[2:])


@must("L46", "config-linux.md#offset-for-time-namespace", "an unknown clock is an error")
def _(c):
    need("time")

    def edit(box):
        box.set_namespace("time")
        box.config["linux"]["timeOffsets"] = {"realtime": {"secs": 1}}
    c.refused(edit)


# ---- masked and read-only paths ----------------------------------------------------------------

@must("L150", "config-linux.md#masked-paths", "masked paths cannot be read")
def _(c):
    def edit(box):
        box.put("etc/secret", "secret\n")
        box.put("etc/folder/secret", "secret\n")
        box.config["linux"]["maskedPaths"] = ["/etc/secret", "/etc/folder", "/missing"]
    eq("alive\n", c.prints("cat /etc/secret 2>/dev/null; ls /etc/folder; echo alive", edit))


@must("L151", "config-linux.md#masked-paths", "masked paths are absolute")
def _(c):
    def edit(box):
        box.put("etc/secret", "secret\n")
        box.config["linux"]["maskedPaths"] = ["etc/secret"]
    c.refused(edit)


@must("L152", "config-linux.md#readonly-paths", "read-only paths are read-only")
def _(c):
    def edit(box):
        box.put("etc/file", "")
        box.put("etc/folder/file", "")
        box.config["linux"]["readonlyPaths"] = ["/etc/file", "/etc/folder", "/missing"]
    eq("refused\nrefused\nmade\n", c.prints(
        "exec 2>/dev/null; (echo x > /etc/file) || echo refused; touch /etc/folder/new || "
        "echo refused; touch /etc/other && echo made", edit))


@must("L153", "config-linux.md#readonly-paths", "read-only paths are absolute")
def _(c):
    c.refused(lambda box: box.config["linux"].update(readonlyPaths=["etc"]))


# ---- propagation, labels, personality, sysctl, memory policy -----------------------------------

def root_fields(c, value):
    def edit(box):
        box.config["linux"]["rootfsPropagation"] = value
    return mount_lines(c.prints("cat /proc/self/mountinfo", edit))["/"][1]


@must("L154", "config-linux.md#rootfs-mount-propagation", "shared: the root is in a peer group")
def _(c):
    true(any(f.startswith("shared:") for f in root_fields(c, "shared")), "not shared")


@must("L155", "config-linux.md#rootfs-mount-propagation", "slave: the root propagates nothing out")
def _(c):
    true(not any(f.startswith("shared:") for f in root_fields(c, "slave")), "shared")


@must("L156", "config-linux.md#rootfs-mount-propagation", "private: the root is in no peer group")
def _(c):
    eq([], [f for f in root_fields(c, "private") if f.startswith(("shared:", "master:"))])


@must("L157", "config-linux.md#rootfs-mount-propagation", "unbindable: the root cannot be bound")
def _(c):
    true("unbindable" in root_fields(c, "unbindable"), "not unbindable")


@must("L158", "config-linux.md#rootfs-mount-propagation", "another value is an error")
def _(c):
    c.refused(lambda box: box.config["linux"].update(rootfsPropagation="none-such"))


@must("L159", "config-linux.md#mount-label", "mountLabel is the label of the mounts")
def _(c):
    if not os.path.exists("/sys/fs/selinux/enforce"):
        eq("alive\n", c.prints("echo alive", lambda box: box.config["linux"].update(
            mountLabel="system_u:object_r:svirt_sandbox_file_t:s0:c715,c811")))
        skip("the kernel runs without SELinux; that the label is then ignored was examined")
    with open("/proc/self/attr/current", encoding="ascii", errors="replace") as file:
        loaded = ":" in file.read()
    if not loaded:
        skip("SELinux has no policy loaded, so no label is valid")
    lines = mount_lines(c.prints("cat /proc/self/mountinfo", lambda box: box.config["linux"].update(
        mountLabel="system_u:object_r:container_file_t:s0:c1,c2")))
    true(any("container_file_t" in o for o in lines["/dev"][3]), lines["/dev"])


@must("L160", "config-linux.md#personality", "domain LINUX32 is the process's")
def _(c):
    if os.uname().machine not in ("x86_64", "aarch64", "ppc64le", "s390x"):
        skip("no 32-bit personality on " + os.uname().machine)
    text = c.prints("uname -m", lambda box: box.config["linux"].update(
        personality={"domain": "LINUX32"}))
    true(text.strip() != os.uname().machine, "uname says " + text)
    eq(os.uname().machine + "\n", c.prints("uname -m", lambda box: box.config["linux"].update(
        personality={"domain": "LINUX"})))


@must("L161", "config-linux.md#personality", "an unknown domain or flag is an error")
def _(c):
    c.refused(lambda box: box.config["linux"].update(personality={"domain": "BSD"}))
    c.refused(lambda box: box.config["linux"].update(
        personality={"domain": "LINUX", "flags": ["ADDR_NO_SUCH"]}))


@must("L162", "config-linux.md#sysctl", "sysctl sets kernel parameters of the container")
def _(c):
    eq("1\n65536\n", c.prints(
        "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmax",
        lambda box: box.config["linux"].update(sysctl={"net.ipv4.ip_forward": "1",
                                                       "kernel.shmmax": "65536"})))


@must("L163", "config-linux.md#sysctl", "a parameter that is not the container's own is an error")
def _(c):
    with open("/proc/sys/kernel/panic", encoding="ascii") as file:
        before = file.read()
    c.refused(lambda box: box.config["linux"].update(sysctl={"kernel.panic": before.strip()}))
    box = c.refused(lambda b: (b.drop_namespace("ipc"), b.config["linux"].update(
        sysctl={"kernel.shmmni": "4096"})))
    true(box, "")


def policy(c, **value):
    box = c.bundle()
    box.config["linux"]["memoryPolicy"] = value
    c.up(box)
    with open("/proc/%d/numa_maps" % box.pid, encoding="ascii") as file:
        return file.read().split("\n")[0].split()[1]


@must("L164", "config-linux.md#memory-policy", "memoryPolicy is the process's")
def _(c):
    if not os.path.exists("/proc/self/numa_maps"):
        skip("the kernel has no NUMA policies")
    true(policy(c, mode="MPOL_BIND", nodes="0").startswith("bind"), "not MPOL_BIND")
    eq("local", policy(c, mode="MPOL_LOCAL"))


@must("L165", "config-linux.md#memory-policy", "an unknown mode or flag is an error")
def _(c):
    c.refused(lambda box: box.config["linux"].update(memoryPolicy={"mode": "MPOL_NONE_SUCH"}))
    c.refused(lambda box: box.config["linux"].update(
        memoryPolicy={"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_NONE"]}))


# ---- network devices ---------------------------------------------------------------------------

def ip(*arguments):
    if not shutil.which("ip"):
        skip("needs the program ip")
    return subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)


def pair():
    """A veth pair in the runtime's network namespace."""
    if ip("link", "add", "conf0", "type", "veth", "peer", "name", "conf1").returncode:
        skip("the kernel makes no veth devices")


def with_device(c, name="conf0", target=None, script="ip link", edit=None):
    pair()
    try:
        def change(box):
            box.config["linux"]["netDevices"] = {name: {"name": target} if target else {}}
            if edit:
                edit(box)
        return c.prints(script, change)
    finally:
        ip("link", "del", "conf1")


@must("L47", "config-linux.md#network-devices", "netDevices are moved into the container")
def _(c):
    true("conf0" in with_device(c), "not there")


@must("L48", "config-linux.md#network-devices", "a network device gets the name configured")
def _(c):
    text = with_device(c, target="inner0")
    true("inner0" in text and "conf0" not in text, text)


@must("L49", "config-linux.md#network-devices", "a name that exists in the container is an error")
def _(c):
    pair()
    try:
        c.refused(lambda box: box.config["linux"].update(netDevices={"conf0": {"name": "lo"}}))
    finally:
        ip("link", "del", "conf1")


@must("L50", "config-linux.md#network-devices", "a name with %d is completed by the kernel")
def _(c):
    text = with_device(c, target="eth%d")
    true("eth0" in text, text)


@must("L51", "config-linux.md#network-devices", "permanent global addresses come along")
def _(c):
    pair()
    try:
        ip("addr", "add", "192.0.2.1/24", "dev", "conf0")
        ip("addr", "add", "2001:db8::1/64", "dev", "conf0", "nodad")
        ip("link", "set", "conf0", "mtu", "1400")
        ip("link", "set", "conf0", "up")
        text = c.prints("ip addr; ip link", lambda box: box.config["linux"].update(
            netDevices={"conf0": {}}))
    finally:
        ip("link", "del", "conf1")
    true("192.0.2.1/24" in text and "2001:db8::1/64" in text and "mtu 1400" in text, text)


@must("L52", "config-linux.md#network-devices", "a network device is up after the move")
def _(c):
    text = [l for l in with_device(c).splitlines() if "conf0" in l]
    true("UP" in text[0].split("<")[1].split(">")[0].split(","), text)


@must("L53", "config-linux.md#network-devices", "a device that cannot be moved is an error")
def _(c):
    c.refused(lambda box: box.config["linux"].update(netDevices={"conf-none": {}}))
    c.refused(lambda box: box.config["linux"].update(netDevices={"lo": {}}))


@must_not("L54", "config-linux.md#namespace-lifecycle-and-container-termination",
          "a network device is not moved back")
def _(c):
    true("conf0" in with_device(c), "not there")
    true("conf0" not in ip("link").stdout, "it came back")


untestable("L55", "MUST NOT", "config-linux.md#namespace-lifecycle-and-container-termination",
           "the runtime does not manage the device inside the container",
           "the absence of any later action cannot be observed; see L54 for the one at the end")
