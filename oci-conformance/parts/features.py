"""features.md and features-linux.md: what the runtime says of itself must be true."""
import json
import os

from bundle import bind, caps
from mounts import maps_tmpfs
from rules import eq, must, must_not, should_not, skip, true, untestable
from seccomp import filtered, rule

HOOKS = {"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"}
TOP = {"ociVersionMin", "ociVersionMax", "hooks", "mountOptions", "linux", "annotations",
       "potentiallyUnsafeConfigAnnotations"}
LINUX = {"namespaces", "capabilities", "cgroup", "seccomp", "apparmor", "selinux", "intelRdt",
         "memoryPolicy", "mountExtensions", "netDevices"}


def features(c):
    done = c.rt("features")
    if done.status:
        skip("the runtime has no features command: it is no part of the operations")
    return json.loads(done.out)


def part(c, *names):
    """features[names...], or a skip."""
    value = features(c)
    for name in names:
        value = (value or {}).get(name)
    if value is None:
        skip("features says nothing about " + ".".join(names))
    return value


def version(text):
    """A semantic version in order; one with a pre-release part comes before the one without."""
    core, _, pre = text.partition("+")[0].partition("-")
    return tuple(int(n) for n in core.split(".")), pre == "", pre


def accepted(c, edit, what):
    """The host may be unable to give it; what it must not be is unknown."""
    box = c.bundle("true")
    edit(box)
    done = c.create(box)
    if done.status == 0:
        c.delete(box, "--force")
    return done.status == 0, what, done.err


def all_known(c, outcomes, unknown=("unknown", "invalid", "unrecognized", "no such")):
    bad = [(what, err) for good, what, err in outcomes
           if not good and any(w in err.lower() for w in unknown)
           and "invalid argument" not in err.lower()]
    eq([], bad)


untestable("F1", "SHOULD", "features.md#features-structure", "the content is made when it is compiled",
           "nothing shows from outside where a value came from")


@must_not("F2", "features.md#features-structure", "null is not the same as an empty value")
def _(c):
    found = features(c)
    # What is absent or null is unknown; what is recognised must then be listed by name.
    for name in ("hooks", "mountOptions"):
        true(found.get(name) is None or found[name] != [], "%s is an empty list" % name)


for _number, _name in (("F3", "ociVersionMin"), ("F4", "ociVersionMax")):
    @must(_number, "features.md#specification-version", "%s is accepted as ociVersion" % _name)
    def _(c, name=_name):
        box = c.bundle("echo", "alive")
        box.config["ociVersion"] = part(c, name)
        eq("alive\n", c.result(box))


@must_not("F5", "features.md#specification-version", "ociVersionMax is not less than ociVersionMin")
def _(c):
    true(version(part(c, "ociVersionMax")) >= version(part(c, "ociVersionMin")), features(c))


@must_not("F6", "features.md#specification-version", "there are no properties the version lacks")
def _(c):
    found = features(c)
    if version(found["ociVersionMax"])[0] > (1, 3, 0):
        skip("a later version than this suite knows")
    eq(set(), set(found) - TOP)
    eq(set(), set(found.get("linux") or {}) - LINUX)


@must("F7", "features.md#hooks", "every hook in the list is called")
def _(c):
    names = part(c, "hooks")
    true(set(names) <= HOOKS, names)
    box = c.bundle()
    folder = c.path("hooklog")
    os.mkdir(folder)
    box.config["mounts"].append(bind(folder, folder))
    box.config["hooks"] = {name: [{"path": "/bin/busybox" if name == "startContainer" else
                                   box.file("bin/busybox"),
                                   "args": ["touch", "%s/%s" % (folder, name)]}] for name in names}
    c.up(box)
    c.stop(box)
    c.delete(box).ok()
    eq(sorted(names), sorted(os.listdir(folder)))


@must("F8", "features.md#mount-options", "every mount option in the list is recognised")
def _(c):
    os.mkdir(c.path("volume"))

    def with_option(option):
        def edit(box):
            options = [option] if option in ("bind", "rbind") else ["bind", option]
            entry = bind(c.path("volume"), "/mnt", *options[1:])
            entry["options"] = options
            if option in ("idmap", "ridmap"):
                entry.update({k: [{"containerID": 0, "hostID": 1000, "size": 1}]
                              for k in ("uidMappings", "gidMappings")})
            if option == "tmpcopyup":
                entry.update(type="tmpfs", source="tmpfs", options=[option])
            box.config["mounts"].append(entry)
        return edit
    unable = set() if maps_tmpfs() else {"idmap", "ridmap"}
    outcomes = [accepted(c, with_option(o), o) for o in part(c, "mountOptions") if o not in unable]
    eq([], [(what, err) for good, what, err in outcomes if not good and what not in (
        "mand", "nomand")])


@should_not("F9", "features.md#mount-options", "options of a single file system are not in the list")
def _(c):
    own = {"size", "mode", "uid", "gid", "nr_inodes", "newinstance", "ptmxmode", "hidepid",
           "lowerdir", "upperdir", "workdir", "subset"}
    eq(set(), set(part(c, "mountOptions")) & own)


@must("F10", "features.md#annotations", "annotations are a map of strings, no key empty")
def _(c):
    found = part(c, "annotations")
    true(all(isinstance(k, str) and k and isinstance(v, str) for k, v in found.items()), found)


@must("F11", "features.md#potentially-unsafe-config-annotations", "they are a list of strings")
def _(c):
    found = part(c, "potentiallyUnsafeConfigAnnotations")
    true(isinstance(found, list) and all(isinstance(v, str) and v for v in found), found)


# ---- features-linux.md -------------------------------------------------------------------------

@must("F20", "features-linux.md#namespaces", "every namespace in the list is recognised")
def _(c):
    def with_type(kind):
        return lambda box: box.user_namespace() if kind == "user" else box.set_namespace(kind)
    outcomes = [accepted(c, with_type(kind), kind) for kind in part(c, "linux", "namespaces")]
    eq([], [(what, err) for good, what, err in outcomes if not good])


@must("F21", "features-linux.md#capabilities", "every capability in the list is recognised")
def _(c):
    names = part(c, "linux", "capabilities")
    box = c.bundle("echo", "alive")
    box.config["process"]["capabilities"] = caps(*names)
    done = c.create(box)
    for word in ("unknown", "unrecognized", "invalid cap"):
        true(word not in done.err.lower(), done.err)
    if done.status == 0:
        c.start(box).ok()
        c.wait(box)
        eq("alive\n", box.output().splitlines(True)[-1])


@must("F22", "features-linux.md#seccomp", "every seccomp action in the list is recognised")
def _(c):
    def with_action(name):
        def edit(box):
            filtered(rule("reboot", action=name))(box)
        return edit
    # NOTIFY needs somebody who listens; that it is known shows in another error.
    all_known(c, [accepted(c, with_action(n), n) for n in part(c, "linux", "seccomp", "actions")
                  if n != "SCMP_ACT_NOTIFY"])


@must("F23", "features-linux.md#seccomp", "every seccomp operator in the list is recognised")
def _(c):
    names = part(c, "linux", "seccomp", "operators")
    for name in names:
        good, what, err = accepted(c, filtered(rule("chmod", args=[
            {"index": 1, "value": 1, "valueTwo": 1, "op": name}])), name)
        true(good, "%s: %s" % (what, err))


@must("F24", "features-linux.md#seccomp", "every seccomp architecture in the list is recognised")
def _(c):
    # Where libseccomp cannot mix it with the machine's own, it says EDOM: it knew the name.
    all_known(c, [accepted(c, filtered(rule("reboot"), architectures=[n]), n)
                  for n in part(c, "linux", "seccomp", "archs")])


@must("F25", "features-linux.md#seccomp", "every known seccomp flag is recognised")
def _(c):
    all_known(c, [accepted(c, filtered(rule("reboot"), flags=[n]), n)
                  for n in part(c, "linux", "seccomp", "knownFlags")])


@must("F26", "features-linux.md#seccomp", "every supported seccomp flag works")
def _(c):
    for name in part(c, "linux", "seccomp", "supportedFlags"):
        if name.endswith("WAIT_KILLABLE_RECV"):
            continue  # only together with a listener
        good, what, err = accepted(c, filtered(rule("reboot"), flags=[name]), name)
        true(good, "%s: %s" % (what, err))


def with_policy(mode, flags=()):
    value = {"mode": mode, "flags": list(flags)}
    if mode not in ("MPOL_DEFAULT", "MPOL_LOCAL"):
        value["nodes"] = "0"
    return lambda box: box.config["linux"].update(memoryPolicy=value)


@must("F27", "features-linux.md#memorypolicy", "every memory policy in the list is recognised")
def _(c):
    all_known(c, [accepted(c, with_policy(n), n) for n in part(c, "linux", "memoryPolicy", "modes")])


@must("F28", "features-linux.md#memorypolicy", "every memory policy flag in the list is recognised")
def _(c):
    all_known(c, [accepted(c, with_policy("MPOL_BIND", [n]), n)
                  for n in part(c, "linux", "memoryPolicy", "flags")])


@must("F29", "features-linux.md#mountextensions", "idmap is true where the mappings are recognised")
def _(c):
    def edit(box):
        entry = bind(c.path("volume"), "/mnt", "idmap")
        entry.update({k: [{"containerID": 0, "hostID": 1000, "size": 1}]
                      for k in ("uidMappings", "gidMappings")})
        box.config["mounts"].append(entry)
    os.mkdir(c.path("volume"))
    found = features(c)
    said = ((found.get("linux") or {}).get("mountExtensions") or {}).get("idmap") or {}
    box = c.bundle("cat", "/proc/self/mountinfo")
    edit(box)
    if c.create(box).status == 0:
        c.start(box).ok()
        c.wait(box)
        eq(bool(said.get("enabled")), "idmapped" in box.output())
