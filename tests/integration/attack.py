"""A hostile container beside the runtime's processes (attacker.cc), and what it may not get.

    with attack.Neighbour(c, user=True) as a:       # a container whose program attacks
        box = a.victim(["user", "pid"])             # a bundle that joins these namespaces of it
        for _ in attack.rounds(a):                  # with decoys in between
            ...
        a.judge()                                   # or a.judge(wanted_victims=...)

The runtime attacked is a copy of the binary: the attacker overwrites it where it can.
"""
import errno
import hashlib
import json
import os
import re
import shutil
import subprocess
import time

import harness as h
import rootfs
import rootless
from bundle import cap_sets, drop_namespace, namespace, user_namespace

HERE = os.path.dirname(os.path.abspath(__file__))
# Attempts of each test; 500 for a complete run.
ROUNDS = int(os.environ.get("ATTACK_ROUNDS", "10" if os.environ.get("CORACLE_SANITIZED") else "30"))
SOURCES = ("attacker.cc", "attacker_probes.cc")
KINDS = ("root", "cwd", "fd", "exe", "mem", "ns", "ptrace")
FILES = {"network": "net", "mount": "mnt"}
PTRACE = ["CAP_SYS_PTRACE", "CAP_KILL"]
ALL = ["CAP_" + name for name in (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE "
    "NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO "
    "SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME "
    "SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG "
    "WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE").split()]
_original = h.runtime()
FIRST = 100000  # host id of a container's root
IDENTITY = {"host": 0, "size": 4294967295}


def attacker():
    path = os.environ.get("ATTACKER")
    if path:
        return path
    target = os.path.join(rootfs.tools_folder(), ".attacker")
    if not os.path.exists(target):
        subprocess.run(["c++", "-std=c++20", "-D_GNU_SOURCE", "-O2", "-static",
                    *(os.path.join(HERE, name) for name in SOURCES), "-o", target], check=True)
    return target


def decoy():
    """The same under the name by which it takes the other part, and by which it is known."""
    path = os.path.join(rootfs.tools_folder(), "decoy")
    if not os.path.exists(path):
        shutil.copy(attacker(), path)
    return path


def attack_a_copy():
    """From now on the runtime is a copy of the binary; its path."""
    program, *options = _original
    folder = os.path.join(rootfs.tools_folder(), "attacked")
    copy = os.path.join(folder, os.path.basename(program))
    os.makedirs(folder, 0o755, exist_ok=True)
    if os.path.exists(copy):
        os.unlink(copy)  # the last test's may be overwritten
    shutil.copyfile(shutil.which(program), copy)
    os.chmod(copy, 0o755)
    os.environ["RUNTIME"] = " ".join([copy, *options])
    return copy


def attack_nothing():
    """The runtime is the binary itself again."""
    os.environ["RUNTIME"] = " ".join(_original)


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def profile(config):
    """A seccomp filter, so that a process without one can be told from the container's."""
    config["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["swapon"], "action": "SCMP_ACT_ERRNO"}]}


def words_of(line):
    return dict(word.split("=") for word in line.split()[1:])


class Report:
    """What the attacker says it got: `victims` and `decoys` as dictionaries of numbers."""

    def __init__(self, text):
        lines = text.splitlines()
        self.victims = self._counts(lines, "victims")
        self.decoys = self._counts(lines, "decoys")
        self.hooks = self._counts(lines, "hooks")
        self.victims.update(self._counts(lines, "binary"))
        self.samples = [line[7:] for line in lines if line.startswith("sample ")]

    @staticmethod
    def _counts(lines, whose):
        words = words_of([line for line in lines if line.startswith(whose + " ")][0])
        return {key: tuple(map(int, value.split("/"))) if "/" in value else int(value)
                for key, value in words.items()}

    def words(self):
        v = self.victims
        text = ("saw %d processes and %d decoys in %d tries; the host's: %s; accessible before the "
                "program: %s; excess=%d unfiltered=%d channel=%d writable=%d written=%d" % (
                    v["seen"], self.decoys["seen"], v["tries"], hits(v, "foreign"),
                    hits(v, "early"), v["excess"], v["unfiltered"], v["channel"], v["writable"],
                    v["written"]))
        if self.hooks["seen"]:
            text += "; of %d programs of hooks, the host's: %s" % (
                self.hooks["seen"], hits(self.hooks, "foreign"))
        return text


def hits(counts, sort):
    """"root=12/3 ..." of `sort` ("foreign", "early"): hits, and processes with a hit."""
    return " ".join("%s=%d/%d" % (kind, *counts["%s_%s" % (sort, kind)]) for kind in KINDS
                    if counts["%s_%s" % (sort, kind)][0]) or "none"


class Neighbour:
    """A container whose program attacks. `user`: False, True, or "identity" for a user namespace
    that maps every id to itself; `by`: the ordinary user who runs everything."""

    def __init__(self, c, user=False, caps=None, host_pid=False, by=None, edit=None):
        self.c, self.user, self.host_pid, self.by = c, user, host_pid, by
        self.binary = attack_a_copy()
        if by:
            os.chown(self.binary, rootless.UID, rootless.UID)
        self.before = digest(self.binary)
        self.caps = caps or (ALL if user else PTRACE)
        self.canary = self._canary()
        # A createContainer hook is a program of the host that runs in the container's namespaces.
        self.may_have_hooks = False
        self.host_is_seen = False
        self.decoys, self.report = 0, None
        self.box = self.bundle(["/bin/attacker", "watch", *self._settings()], self._edit(edit))
        shutil.copy(attacker(), self.box.file("bin/attacker"))

    def _canary(self):
        path = self.c.path("canary")
        with open(path, "w", encoding="ascii") as file:
            file.write("canary\n")
        if self.by:
            os.chmod(path, 0o600)
            os.chown(path, rootless.UID, rootless.UID)
        return path

    def _settings(self):
        info, hook = os.stat(self.binary), os.stat("/bin/sh")
        spaces = [str(os.stat("/proc/self/ns/" + name).st_ino)
                  for name in ("mnt", "cgroup", "net", "ipc", "uts", "user")]
        devices = {str(os.stat(path).st_dev) for path in ("/", "/bin/sh", self.binary, decoy())}
        return ["canary=" + self.canary, "devices=" + ",".join(devices), "binary=%d:%d" % (info.st_dev, info.st_ino),
                "hook=%d:%d" % (hook.st_dev, hook.st_ino),
                "name=" + os.path.basename(self.binary)[:6], "namespaces=" + ",".join(spaces)]

    def _edit(self, more):
        def edit(config):
            config["process"]["capabilities"] = cap_sets(self.caps)
            profile(config)
            if self.user and not self.by:
                user_namespace(config, **(IDENTITY if self.user == "identity" else {}))
            if self.host_pid:
                share_pids(config)
            if more:
                more(config)
        return edit

    def bundle(self, args, edit, **process):
        if self.by:
            return self.by.bundle(args, edit, **process)
        box = self.c.bundle(args, edit, **process)
        if self.user is True:
            box.give(FIRST)
        return box

    def rt(self, *args, **more):
        return unless_busy(lambda: (self.by or self.c).rt(*args, **more))

    def __enter__(self):
        self.processors = os.sched_getaffinity(0)
        if len(self.processors) > 1:  # the attacker takes the last one
            os.sched_setaffinity(0, self.processors - {max(self.processors)})
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        os.sched_setaffinity(0, self.processors)
        if self.by:
            self.by.rt("delete", "--force", self.box.id)
        attack_nothing()

    def _start(self):
        self.create()
        self.rt("start", self.box.id).ok()
        h.until(lambda: "up\n" in self.text(), "the attacker's first line")
        self.pid = json.loads(self.rt("state", self.box.id).ok().out)["pid"]

    def argv(self, *args):
        """The runtime's command line, as the one who runs everything calls it."""
        argv = [*h.runtime(), "--root", (self.by or self.c).root, *args]
        if self.by:
            argv = ["setpriv", "--reuid", str(rootless.UID), "--regid", str(rootless.UID),
                    "--clear-groups", *argv]
        return argv

    def create(self):
        """The attacker's container, with its output in a file that the container keeps."""
        self.box.log = self.c.path("log-" + self.box.id)
        with open(self.box.log, "ab") as log:
            status = subprocess.run(
                self.argv("create", "-b", self.box.path, self.box.id), stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, cwd=self.c.scratch, timeout=h.TIMEOUT, check=False,
                env=self.by.env if self.by else None).returncode
        h.eq(0, status, "create of the attacker (%s)" % self.text())

    def text(self):
        """What the attacker printed."""
        return self.c.output(self.box)

    # ---- victims -------------------------------------------------------------------------------

    def join(self, config, kinds):
        """Makes these namespaces those of the attacker."""
        for kind in kinds:
            namespace(config, kind, "/proc/%d/ns/%s" % (self.pid, FILES.get(kind, kind)))
        if "user" in kinds and not needs_mappings():
            for key in ("uidMappings", "gidMappings"):
                config["linux"].pop(key, None)
        if "uts" in kinds:
            config.pop("hostname", None)
        if self.host_pid:
            share_pids(config)

    def victim(self, kinds, args=("true",), edit=None, **process):
        """A bundle that joins `kinds` of the attacker's namespaces and is otherwise like it."""
        def change(config):
            # Not every machine has all of them outside a user namespace.
            config["process"]["capabilities"] = cap_sets(
                self.caps if "user" in kinds or self.by else PTRACE)
            profile(config)
            if "user" in kinds and not self.by:
                user_namespace(config, **(IDENTITY if self.user == "identity" else {}))
            self.join(config, kinds)
            if edit:
                edit(config)
        return self.bundle(args, change, **process)

    def decoy(self, count=1, milliseconds=1.5):
        """Processes as a careless runtime would let in, one after the other."""
        argv = [decoy(), str(self.pid), "user" if self.user else "-", str(count),
                str(int(milliseconds * 1000))]
        (self.by.command(*argv) if self.by else self.c.command(argv)).ok("decoy")
        self.decoys += count

    # ---- the end -------------------------------------------------------------------------------

    def stop(self):
        """Ends the attack; its report. The last decoys are there for whatever happens on a machine
        with much to do."""
        self.decoy(10, milliseconds=5)
        with open(self.box.file("stop"), "w", encoding="ascii"):
            pass
        h.until(lambda: self.text().endswith("end\n"), lambda: "the report (%s)" % self.text(), 10)
        self.report = Report(self.text())
        return self.report

    def _sharp(self, victims):
        """The attack was one: it met the victims, and got everything of decoys."""
        r = self.report
        h.true(r.decoys["seen"] * 4 >= self.decoys, "it met only %d of %d decoys" % (
            r.decoys["seen"], self.decoys))
        blind = [what for what in ("foreign_root", "foreign_cwd", "foreign_fd", "foreign_exe",
                                   "foreign_ns", "early_mem", "early_ptrace")
                 if not r.decoys[what][0]]
        h.eq([], blind, "what it did not get of decoys (%s)" % r.decoys)
        # In the host's pid namespace it meets everybody: the runtime's have its name.
        seen = r.victims["named" if self.host_pid else "seen"]
        h.true(seen >= victims, "it met only %d victims in %d rounds" % (seen, ROUNDS))

    def gains(self):
        """What it got and may not have, in words."""
        r, bad = self.report, []
        if self.host_is_seen:
            return ["the binary is overwritten"] if digest(self.binary) != self.before else []
        for sort in ("foreign", "early") if self.user else ("foreign",):
            found = hits(r.victims, sort)
            if found != "none":
                bad.append("%s: %s" % (sort, found))
        if r.hooks["seen"] and not self.may_have_hooks and hits(r.hooks, "foreign") != "none":
            bad.append("programs of hooks: " + hits(r.hooks, "foreign"))
        for what in ("excess", "writable", "written"):
            if r.victims[what]:
                bad.append("%s: %d" % (what, r.victims[what]))
        if digest(self.binary) != self.before:
            bad.append("the binary is overwritten")
        return bad

    def judge(self, victims=ROUNDS // 4):
        """Ends the attack, prints its counts, and fails if it won anything, or was none: it must
        have met so many processes, and have had everything of the decoys."""
        self.stop()
        print("# %d rounds: %s" % (ROUNDS, self.report.words()))
        for text in self.report.samples[:int(os.environ.get("ATTACK_SAMPLES", "0"))]:
            print("#   " + text)
        bad = self.gains()
        if bad:
            h.fail("; ".join(bad) + "\n" + "\n".join(self.report.samples[:12]))
        self._sharp(victims)


def unless_busy(call):
    """call(), again while the attacker has the binary open for writing, which it does once."""
    for _ in range(5):
        try:
            return call()
        except OSError as error:
            if error.errno != errno.ETXTBSY:
                raise
            time.sleep(0.01)
    return h.fail("the attacker keeps the runtime's binary open for writing")


def needs_mappings():
    """runc wants the mappings of a joined user namespace again."""
    return os.path.basename(h.runtime()[0]) == "runc"


def share_pids(config):
    """No pid namespace: the host's."""
    drop_namespace(config, "pid")
    bind_proc(config)


def bind_proc(config):
    """The /proc of a pid namespace that does not belong to the container's user namespace."""
    for entry in config["mounts"]:
        if entry["destination"] == "/proc":
            entry.update(type="bind", source="/proc", options=["rbind", "nosuid", "nodev"])
    for key in ("maskedPaths", "readonlyPaths"):
        config["linux"].pop(key, None)


def rounds(neighbour, count=None):
    """Numbers of the attempts; every fifth is followed by a decoy."""
    for number in range(count or ROUNDS):
        yield number
        if number % 5 == 0:
            neighbour.decoy()
