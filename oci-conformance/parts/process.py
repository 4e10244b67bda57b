"""config.md: version, process, user, host name, annotations, extensibility."""
import fcntl
import os
import re
import resource
import struct
import termios

from bundle import caps
from case import read_all
from rules import eq, must, must_not, should_not, skip, true, untestable

CAP_BITS = {name: bit for bit, name in enumerate(
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE "
    "NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO "
    "SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME "
    "SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG "
    "WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE".split())}


def mask(*names):
    return sum(1 << CAP_BITS[name[4:]] for name in names)


def cap_sets(text):
    return {line.split(":")[0]: int(line.split()[1], 16) for line in text.splitlines()
            if line.startswith("Cap")}


def have_cap(name):
    with open("/proc/self/status", encoding="ascii") as file:
        if not cap_sets(file.read())["CapBnd"] >> CAP_BITS[name[4:]] & 1:
            skip("no %s here" % name)


def status_of(c, edit=None, **process):
    text = c.prints("cat /proc/self/status", edit, **process)
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


# ---- version -----------------------------------------------------------------------------------

@must("C1", "config.md#specification-version", "ociVersion must be a semantic version")
def _(c):
    for text in ("invalid", "1", "1.0", "01.0.0", ""):
        c.refused(lambda box, t=text: box.config.update(ociVersion=t))


@must("C2", "config.md#specification-version", "a missing ociVersion is an error")
def _(c):
    c.refused(lambda box: box.config.pop("ociVersion"))


@must("C3", "config.md#specification-version", "earlier versions of the same major version work")
def _(c):
    for text in ("1.0.0", "1.0.2", "1.0.2-dev", "1.1.0"):
        box = c.bundle("echo", "alive")
        box.config["ociVersion"] = text
        eq("alive\n", c.result(box), text)


# ---- process -----------------------------------------------------------------------------------

@must("C20", "config.md#process", "terminal gives the process a pseudo terminal as its streams")
def _(c):
    box = c.shell("tty; tty <&1; tty <&2; sleep 0.1", terminal=True)
    master = c.terminal(box)
    c.start(box).ok()
    lines = read_all(master).split()
    os.close(master)
    eq(3, len(lines), lines)
    true(all(re.fullmatch(r"/dev/(pts/\d+|console)", line) for line in lines), lines)


@must("C21", "config.md#process", "without terminal there is none")
def _(c):
    eq("not a tty\n", c.prints("tty"))


@must("C22", "config.md#process", "consoleSize is ignored without terminal")
def _(c):
    eq("alive\n", c.prints("echo alive", consoleSize={"height": 10, "width": 20}))


@must("C23", "config.md#process", "consoleSize is the size of the terminal")
def _(c):
    box = c.shell("stty size; sleep 0.1", terminal=True, consoleSize={"height": 12, "width": 34})
    master = c.terminal(box)
    eq((12, 34), struct.unpack("HHHH", fcntl.ioctl(master, termios.TIOCGWINSZ, b"\0" * 8))[:2])
    c.start(box).ok()
    eq("12 34\n", read_all(master))
    os.close(master)


@must("C24", "config.md#process", "cwd must be absolute")
def _(c):
    c.refused(lambda box: None, cwd="tmp")


@must("C25", "config.md#process", "cwd is required")
def _(c):
    c.refused(lambda box: box.config["process"].pop("cwd"))


@must("C26", "config.md#process", "cwd is the working directory")
def _(c):
    eq("/tmp\n", c.prints("pwd", cwd="/tmp"))


@must("C27", "config.md#process", "env is the environment, nothing else")
def _(c):
    box = c.bundle("env")
    box.config["process"]["env"] = ["PATH=/bin", "A=1=2", "EMPTY=", "SPACE=a b"]
    lines = c.result(box).splitlines()
    eq(sorted(box.config["process"]["env"]), sorted(l for l in lines if not l.startswith("HOME=")))


@must("C28", "config.md#process", "args needs at least one entry")
def _(c):
    c.refused(lambda box: None, args=[])


@must("C29", "config.md#process", "args[0] is found in PATH as execvp does")
def _(c):
    box = c.bundle("tool", "x")
    box.put("opt/tool", "#!/bin/sh\necho $0 $1\n", 0o755)
    box.config["process"]["env"] = ["PATH=/nowhere:/opt:/bin"]
    eq("/opt/tool x\n", c.result(box))


@must("C30", "config.md#process", "args[0] with a slash is a path")
def _(c):
    box = c.bundle("./tool", cwd="/opt")
    box.put("opt/tool", "#!/bin/sh\necho here\n", 0o755)
    eq("here\n", c.result(box))


# ---- rlimits -----------------------------------------------------------------------------------

def limits(c, *entries):
    box = c.bundle("cat", "/proc/self/limits", rlimits=[
        {"type": kind, "soft": soft, "hard": hard} for kind, soft, hard in entries])
    return box


@must("C31", "config.md#posix-process", "an unknown rlimit is an error")
def _(c):
    c.refused(lambda box: None, rlimits=[{"type": "RLIMIT_NONE_SUCH", "soft": 1, "hard": 1}])


@must("C32", "config.md#posix-process", "every rlimit of getrlimit(2) can be given")
def _(c):
    names = [n for n in dir(resource) if n.startswith("RLIMIT_") and n != "RLIMIT_OFILE"] + [
        "RLIMIT_LOCKS"]
    entries = []
    for name in sorted(set(names)):
        soft, hard = resource.getrlimit(getattr(resource, name)) if hasattr(resource, name) else (
            0, 0)
        entries.append((name, *(2 ** 64 - 1 if v == -1 else v for v in (soft, hard))))
    text = c.result(limits(c, *entries))
    true("Max open files" in text, text)


@must("C33", "config.md#posix-process", "the soft limit is the one configured")
def _(c):
    text = c.result(limits(c, ("RLIMIT_NOFILE", 100, 200), ("RLIMIT_CORE", 0, 4096)))
    true(re.search(r"^Max open files +100 ", text, re.M), text)
    true(re.search(r"^Max core file size +0 ", text, re.M), text)


@must("C34", "config.md#posix-process", "the hard limit is the one configured")
def _(c):
    text = c.result(limits(c, ("RLIMIT_NOFILE", 100, 200), ("RLIMIT_CORE", 0, 4096)))
    true(re.search(r"^Max open files +100 +200 ", text, re.M), text)
    true(re.search(r"^Max core file size +0 +4096 ", text, re.M), text)


@must("C35", "config.md#posix-process", "the same rlimit twice is an error")
def _(c):
    c.refused(lambda box: None, rlimits=[
        {"type": "RLIMIT_NOFILE", "soft": n, "hard": n} for n in (100, 200)])


# ---- Linux process -----------------------------------------------------------------------------

@must("C36", "config.md#linux-process", "a capability the kernel does not know is a warning")
def _(c):
    box = c.bundle("echo", "alive")
    box.config["process"]["capabilities"]["effective"].append("CAP_NO_SUCH_THING")
    done = c.create(box)
    done.ok()
    c.start(box).ok()
    c.wait(box)
    eq("alive\n", box.output().splitlines(True)[-1])
    words = done.err + box.output()
    true("CAP_NO_SUCH_THING" in words or "NO_SUCH_THING" in words.upper(),
         "no warning: %r" % words)


@should_not("C37", "config.md#linux-process", "a capability that cannot be granted does not fail it")
def _(c):
    with open("/proc/self/status", encoding="ascii") as file:
        own = cap_sets(file.read())["CapBnd"]
    missing = ["CAP_" + name for name, bit in CAP_BITS.items() if not own >> bit & 1]
    if not missing:
        skip("every capability can be granted here")
    box = c.bundle("echo", "alive")
    box.config["process"]["capabilities"] = caps("CAP_KILL", *missing)
    eq("alive\n", c.result(box))


@must("C38", "config.md#linux-process", "the effective set is the one configured")
def _(c):
    want = ("CAP_KILL", "CAP_CHOWN")
    status = status_of(c, capabilities=caps(*want))
    eq(mask(*want), int(status["CapEff"], 16))


@must("C39", "config.md#linux-process", "the bounding set is the one configured")
def _(c):
    sets = caps("CAP_KILL")
    sets["bounding"] = ["CAP_KILL", "CAP_SETUID"]
    eq(mask(*sets["bounding"]), int(status_of(c, capabilities=sets)["CapBnd"], 16))


@must("C40", "config.md#linux-process", "the inheritable set is the one configured")
def _(c):
    sets = dict(caps("CAP_KILL", "CAP_CHOWN"), inheritable=["CAP_CHOWN"])
    eq(mask("CAP_CHOWN"), int(status_of(c, capabilities=sets)["CapInh"], 16))


@must("C41", "config.md#linux-process", "the permitted set of another user is the ambient one")
def _(c):
    sets = dict(caps("CAP_KILL", "CAP_CHOWN"), inheritable=["CAP_CHOWN"], ambient=["CAP_CHOWN"])
    status = status_of(c, capabilities=sets, user={"uid": 1000, "gid": 1000})
    eq([mask("CAP_CHOWN")] * 2, [int(status[k], 16) for k in ("CapPrm", "CapEff")])


@must("C42", "config.md#linux-process", "the ambient set is the one configured")
def _(c):
    sets = dict(caps("CAP_KILL", "CAP_CHOWN"), inheritable=["CAP_CHOWN"], ambient=["CAP_CHOWN"])
    eq(mask("CAP_CHOWN"), int(status_of(c, capabilities=sets)["CapAmb"], 16))


@must("C43", "config.md#linux-process", "noNewPrivileges is what it says, true or false")
def _(c):
    eq(["1", "0"], [status_of(c, noNewPrivileges=v)["NoNewPrivs"] for v in (True, False)])


@must("C44", "config.md#linux-process", "oomScoreAdj is the process's oom_score_adj")
def _(c):
    eq("500\n", c.prints("cat /proc/self/oom_score_adj", oomScoreAdj=500))


@must_not("C45", "config.md#linux-process", "without oomScoreAdj the value stays")
def _(c):
    with open("/proc/self/oom_score_adj", encoding="ascii") as file:
        before = file.read()
    eq(before, c.prints("cat /proc/self/oom_score_adj"))


def scheduled(c, **scheduler):
    """(policy with its flags, priority, nice) of the running program."""
    box = c.up(c.bundle(scheduler=scheduler))
    return (os.sched_getscheduler(box.pid), os.sched_getparam(box.pid).sched_priority,
            os.getpriority(os.PRIO_PROCESS, box.pid))


@must("C46", "config.md#linux-process", "scheduler: policy and nice")
def _(c):
    eq((os.SCHED_BATCH, 0, 5), scheduled(c, policy="SCHED_BATCH", nice=5))


@must("C47", "config.md#linux-process", "scheduler: priority of a real-time policy")
def _(c):
    have_cap("CAP_SYS_NICE")
    # The kernel has no use for the nice value then and leaves the caller's.
    eq((os.SCHED_FIFO, 7), scheduled(c, policy="SCHED_FIFO", priority=7)[:2])


@must("C48", "config.md#linux-process", "scheduler: an unknown policy or flag is an error")
def _(c):
    c.refused(lambda box: None, scheduler={"policy": "SCHED_NONE"})
    c.refused(lambda box: None, scheduler={"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_NONE"]})


@must("C49", "config.md#linux-process", "scheduler: flags")
def _(c):
    eq((os.SCHED_BATCH | os.SCHED_RESET_ON_FORK, 0, 0), scheduled(
        c, policy="SCHED_BATCH", flags=["SCHED_FLAG_RESET_ON_FORK"]))


@must("C103", "config.md#linux-process", "scheduler: nice and priority are 0 when they are not set")
def _(c):
    os.setpriority(os.PRIO_PROCESS, 0, 3)
    try:
        eq((os.SCHED_OTHER, 0, 0), scheduled(c, policy="SCHED_OTHER"))
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, 0)


@must("C104", "config.md#linux-process", "scheduler: runtime, deadline and period")
def _(c):
    have_cap("CAP_SYS_NICE")
    done = scheduled(c, policy="SCHED_DEADLINE", runtime=1000000, deadline=50000000,
                     period=100000000)
    eq(6, done[0] & ~os.SCHED_RESET_ON_FORK)  # SCHED_DEADLINE


@must("C50", "config.md#linux-process", "ioPriority: class and priority")
def _(c):
    eq("best-effort: prio 3\n", c.prints("ionice -p $$", ioPriority={
        "class": "IOPRIO_CLASS_BE", "priority": 3}))
    true("idle" in c.prints("ionice -p $$", ioPriority={"class": "IOPRIO_CLASS_IDLE",
                                                       "priority": 0}), "not idle")


@must("C51", "config.md#linux-process", "ioPriority: an unknown class is an error")
def _(c):
    c.refused(lambda box: None, ioPriority={"class": "IOPRIO_CLASS_NONE_SUCH", "priority": 0})


@must("C52", "config.md#linux-process", "apparmorProfile is the profile of the process")
def _(c):
    try:
        with open("/sys/module/apparmor/parameters/enabled", encoding="ascii") as file:
            on = file.read() == "Y\n"
    except FileNotFoundError:
        on = False
    if not on:
        skip("the kernel runs without AppArmor")
    eq("unconfined\n", c.prints("cat /proc/self/attr/current", apparmorProfile="unconfined"))


@must("C53", "config.md#linux-process", "selinuxLabel is the label of the process")
def _(c):
    if not os.path.exists("/sys/fs/selinux/enforce"):
        skip("the kernel runs without SELinux")
    with open("/proc/self/attr/current", encoding="ascii") as file:
        own = file.read().rstrip("\0\n")
    eq(own, c.prints("cat /proc/self/attr/current", selinuxLabel=own).rstrip("\0\n"))


untestable("C54", "SHOULD NOT", "config.md#linux-process",
           "execCPUAffinity: without final the affinity is left to the kernel",
           "is about exec, which is none of the five operations, and not about the first process")


# ---- user --------------------------------------------------------------------------------------

@must("C55", "config.md#posix-platform-user", "uid and gid are the process's, all four of each")
def _(c):
    status = status_of(c, user={"uid": 1001, "gid": 1002})
    eq(["1001"] * 4 + ["1002"] * 4, status["Uid"].split() + status["Gid"].split())


@must("C56", "config.md#posix-platform-user", "umask is the process's")
def _(c):
    eq("0027\n", c.prints("umask", user={"uid": 0, "gid": 0, "umask": 0o27}))


@must("C57", "config.md#posix-platform-user", "additionalGids are the process's groups, no others")
def _(c):
    eq({"5", "6"}, set(status_of(c, user={"uid": 1, "gid": 1, "additionalGids": [5, 6]})[
        "Groups"].split()) - {"1"})
    eq(set(), set(status_of(c, user={"uid": 1, "gid": 1})["Groups"].split()) - {"1"})


# ---- names -------------------------------------------------------------------------------------

@must("C58", "config.md#hostname", "hostname is the container's")
def _(c):
    eq("conf.example\n", c.prints("hostname", lambda box: box.config.update(
        hostname="conf.example")))


@must("C59", "config.md#domainname", "domainname is the container's")
def _(c):
    eq("example.org\n", c.prints("cat /proc/sys/kernel/domainname", lambda box: box.config.update(
        domainname="example.org")))


# ---- annotations and extensibility -------------------------------------------------------------

def annotated(value):
    return lambda box: box.config.update(annotations=value)


@must("C90", "config.md#annotations", "annotations are a map")
def _(c):
    c.refused(annotated(["a"]))


@must_not("C91", "config.md#annotations", "an annotation's key is not empty")
def _(c):
    c.refused(annotated({"": "value"}))


@must("C92", "config.md#annotations", "an annotation's value is a string")
def _(c):
    c.refused(annotated({"a": 1}))


@must("C93", "config.md#annotations", "an annotation's value may be empty")
def _(c):
    eq("alive\n", c.prints("echo alive", annotated({"org.example.a": ""})))


@must("C94", "config.md#annotations", "unknown annotations are ignored")
def _(c):
    eq("alive\n", c.prints("echo alive", annotated({"org.example.unknown": "x",
                                                    "com.example/strange key": "y"})))


untestable("C95", "SHOULD", "config.md#annotations", "keys are in reverse domain notation",
           "a rule for whoever writes the bundle; nothing says what a runtime does with others")
untestable("C96", "MUST", "config.md#annotations", "org.opencontainers keys are those of the table",
           "a rule for whoever writes the bundle")
untestable("C97", "MUST NOT", "config.md#annotations",
           "reserved org.opencontainers keys are not used by later specifications",
           "a rule for other specifications")


@must("C98", "config.md#extensibility", "unknown properties are ignored, wherever they are")
def _(c):
    def edit(box):
        for place in (box.config, box.config["process"], box.config["root"], box.config["linux"],
                      box.config["linux"]["resources"], box.config["process"]["user"]):
            place["unknownToAll"] = {"a": [1, None, "x"]}
    eq("alive\n", c.prints("echo alive", edit))


@must("C99", "config.md#valid-values", "a value of the wrong type is an error")
def _(c):
    for change in ({"hostname": 5}, {"mounts": {}}, {"process": []}, {"root": "rootfs"},
                   {"linux": []}):
        c.refused(lambda box, x=change: box.config.update(x))


@must("C100", "config.md#valid-values", "a number that is out of range is an error")
def _(c):
    for uid in (-1, 2 ** 32, 1.5):
        c.refused(lambda box: None, user={"uid": uid, "gid": 0})


@must("C101", "config.md#valid-values", "a file that is no JSON is an error")
def _(c):
    for text in ("", "{", "[]", "null", '{"ociVersion": "1.0.2"'):
        box = c.bundle().write()
        c.write(os.path.relpath(box.path + "/config.json", c.scratch), text)
        c.create(box, write=False).error()


@must("C102", "config.md#valid-values", "a umask out of range is an error")
def _(c):
    c.refused(lambda box: None, user={"uid": 0, "gid": 0, "umask": 2 ** 32})


untestable("C105", "SHOULD", "config.md#annotations",
           "org.opencontainers.image.stopSignal names the signal for kill",
           "a rule for whoever calls kill: the operation is given its signal")
untestable("C106", "SHOULD", "config.md#root", "root.path is rootfs",
           "a rule for whoever writes the bundle")
untestable("C107", "SHOULD", "config.md#mounts", "a mount's destination is absolute",
           "a rule for whoever writes the bundle; what a runtime does with others is C12")
untestable("C108", "SHOULD", "config.md#posix-platform-mounts",
           "options contain idmap or ridmap where there are mappings",
           "a rule for whoever writes the bundle")
