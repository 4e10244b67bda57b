"""config-linux.md: seccomp. The program is busybox: mkdir, chmod and others are refused by name."""
import json
import os
import socket
import threading

from case import until
from rules import eq, must, must_not, true

SECTION = "config-linux.md#seccomp"
STATE = "config-linux.md#the-container-process-state"
ARCHS = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}
MADE = "mkdir /tmp/x && echo made"
# What a shell and a runtime's last steps need: everything common but the making of folders.
MOST = """access arch_prctl brk capget capset chdir clone clone3 close close_range dup dup2 dup3
epoll_create1 epoll_ctl epoll_pwait epoll_wait eventfd2 execve execveat exit exit_group faccessat
faccessat2 fchdir fchown fcntl fork fstat fstatfs futex getcwd getdents64 getegid geteuid getgid
getgroups getpgid getpgrp getpid getppid getrandom getrlimit getsid gettid getuid ioctl kill lseek
lstat madvise mmap mprotect mremap munmap nanosleep newfstatat open openat openat2 pipe pipe2 poll
ppoll prctl pread64 prlimit64 pselect6 read readlink readlinkat readv recvfrom recvmsg rseq rt_sigaction
rt_sigprocmask rt_sigreturn rt_sigsuspend sched_getaffinity sched_yield select sendmsg sendto
set_robust_list set_tid_address setgid setgroups setpgid setresgid setresuid setsid setuid
sigaltstack socketpair stat statfs statx sysinfo tgkill umask uname unlink unlinkat vfork wait4
waitid write writev fchownat fchmod setfsuid setfsgid setitimer mincore""".split()


def rule(*names, action="SCMP_ACT_ERRNO", **more):
    return dict({"names": list(names), "action": action}, **more)


def filtered(*rules, default="SCMP_ACT_ALLOW", **more):
    """An edit that sets linux.seccomp."""
    seccomp = dict({"defaultAction": default, "syscalls": list(rules)}, **more)
    if os.uname().machine in ARCHS:
        seccomp.setdefault("architectures", [ARCHS[os.uname().machine]])
    return lambda box: box.config["linux"].update(seccomp=seccomp)


def shown(c, script, *rules, **more):
    """Output and errors of a script under this filter."""
    return c.prints("exec 2>&1; %s; echo end" % script, filtered(*rules, **more))


@must("L170", SECTION, "a call is refused, EPERM unless said otherwise")
def _(c):
    text = shown(c, MADE, rule("mkdir", "mkdirat"))
    true("not permitted" in text and "made" not in text and text.endswith("end\n"), text)
    eq("made\nend\n", shown(c, MADE, rule("reboot")))


@must("L171", SECTION, "errnoRet is the error a refused call gives")
def _(c):
    true("No such device" in shown(c, MADE, rule("mkdir", "mkdirat", errnoRet=19)), "not ENODEV")


@must("L172", SECTION, "defaultErrnoRet is the error of the default action")
def _(c):
    text = shown(c, MADE, rule(*MOST, action="SCMP_ACT_ALLOW"), default="SCMP_ACT_ERRNO",
                 defaultErrnoRet=19)
    true("No such device" in text and "made" not in text, text)


@must("L173", SECTION, "an errno with an action that has none is an error")
def _(c):
    c.refused(filtered(rule("mkdir", action="SCMP_ACT_KILL_PROCESS", errnoRet=5)))


@must("L174", SECTION, "a default errno with an action that has none is an error")
def _(c):
    c.refused(filtered(rule("mkdir"), default="SCMP_ACT_ALLOW", defaultErrnoRet=5))


@must("L175", SECTION, "defaultAction is required and known")
def _(c):
    c.refused(filtered(default="SCMP_ACT_NO_SUCH"))

    def edit(box):
        filtered()(box)
        del box.config["linux"]["seccomp"]["defaultAction"]
    c.refused(edit)


@must("L176", SECTION, "an unknown architecture is an error")
def _(c):
    c.refused(filtered(architectures=["SCMP_ARCH_NO_SUCH"]))


@must("L177", SECTION, "an unknown flag is an error")
def _(c):
    c.refused(filtered(flags=["SECCOMP_FILTER_FLAG_NO_SUCH"]))


@must("L178", SECTION, "flags TSYNC, LOG and SPEC_ALLOW are accepted")
def _(c):
    for flag in ("TSYNC", "LOG", "SPEC_ALLOW"):
        true("not permitted" in shown(c, MADE, rule("mkdir", "mkdirat"), flags=[
            "SECCOMP_FILTER_FLAG_" + flag]), flag)


@must("L179", SECTION, "names has at least one entry")
def _(c):
    c.refused(filtered(rule()))


@must("L180", SECTION, "an unknown action is an error")
def _(c):
    c.refused(filtered(rule("mkdir", action="SCMP_ACT_NO_SUCH")))


@must("L181", SECTION, "the actions KILL, TRAP, LOG and ALLOW do what they say")
def _(c):
    for action in ("SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD",
                   "SCMP_ACT_TRAP"):
        text = shown(c, "(%s); :" % MADE, rule("mkdir", "mkdirat", action=action))
        true("made" not in text and text.endswith("end\n"), "%s: %s" % (action, text))
    for action in ("SCMP_ACT_LOG", "SCMP_ACT_ALLOW"):
        eq("made\nend\n", shown(c, MADE, rule(*MOST, action="SCMP_ACT_ALLOW"),
                                rule("mkdir", "mkdirat", action=action),
                                default="SCMP_ACT_ERRNO"), action)


# chmod and fchmodat see the mode as their second or third argument.
def by_mode(op, value, **more):
    return [rule(name, args=[dict({"index": index, "value": value, "op": op}, **more)])
            for name, index in (("chmod", 1), ("fchmodat", 2))]


for _number, _op, _value, _more, _hit, _miss in (
        ("L182", "NE", 0o600, {}, 0o644, 0o600), ("L183", "LT", 0o600, {}, 0o444, 0o600),
        ("L184", "LE", 0o600, {}, 0o600, 0o644), ("L185", "EQ", 0o600, {}, 0o600, 0o644),
        ("L186", "GE", 0o600, {}, 0o600, 0o444), ("L187", "GT", 0o600, {}, 0o644, 0o600),
        ("L188", "MASKED_EQ", 0o100, {"valueTwo": 0o100}, 0o700, 0o600)):
    @must(_number, SECTION, "operator SCMP_CMP_" + _op)
    def _(c, op=_op, value=_value, more=_more, hit=_hit, miss=_miss):
        script = "touch /tmp/x; chmod %o /tmp/x && echo hit; chmod %o /tmp/x && echo missed" % (
            hit, miss)
        text = shown(c, script, *by_mode("SCMP_CMP_" + op, value, **more))
        true("hit" not in text and "missed" in text, text)


@must("L189", SECTION, "an unknown operator or an index above 5 is an error")
def _(c):
    c.refused(filtered(*by_mode("SCMP_CMP_NO_SUCH", 1)))
    c.refused(filtered(rule("chmod", args=[{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}])))


# ---- the listener ------------------------------------------------------------------------------

class Agent:
    """Receives what the runtime sends; answers nothing, the notified call is never made."""

    def __init__(self, c):
        self.path, self.connections = c.path("agent"), []
        self.server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.server.bind(self.path)
        self.server.listen(4)
        self.server.settimeout(5)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        try:
            while True:
                peer, _ = self.server.accept()
                peer.settimeout(5)
                data, fds = b"", []
                try:
                    while True:
                        part, more, _, _ = socket.recv_fds(peer, 65536, 4)
                        fds.append(list(more))
                        data += part
                        if not part:
                            break
                    closed = True
                except TimeoutError:
                    closed = False
                self.connections.append((data.decode(), fds, closed))
        except (OSError, TimeoutError):
            pass  # closed at the end of the test

    def close(self):
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        self.thread.join()
        for _, fds, _ in self.connections:
            for fd in sum(fds, []):
                os.close(fd)


def heard(c, edit=None, **more):
    """The connections made for one container; [(text, fds of each message, closed)], box."""
    agent = Agent(c)
    try:
        box = c.bundle("sleep", "1000")
        box.config["annotations"] = {"a": "b"}
        filtered(rule("mknod", "mknodat", action="SCMP_ACT_NOTIFY"), listenerPath=agent.path,
                 **more)(box)
        if edit:
            edit(box)
        c.up(box)
        until(lambda: agent.connections, "the connection of the runtime")
        return agent.connections, box
    finally:
        agent.close()


@must("L190", SECTION, "listenerPath: the state comes over a stream socket")
def _(c):
    connections, _ = heard(c)
    true(json.loads(connections[0][0]), "nothing")


@must("L191", SECTION, "exactly one state a connection")
def _(c):
    connections, _ = heard(c)
    json.loads(connections[0][0])  # more than one would not parse


@must("L192", SECTION, "the connection is closed after the state, and not used again")
def _(c):
    connections, _ = heard(c)
    eq([True], [closed for _, _, closed in connections])


@must("L193", SECTION, "a listener that cannot be reached is an error")
def _(c):
    c.refused(filtered(rule("mknod", action="SCMP_ACT_NOTIFY"), listenerPath=c.path("nobody")))


@must("L194", SECTION, "without NOTIFY listenerPath is ignored")
def _(c):
    eq("made\nend\n", shown(c, MADE, rule("reboot"), listenerPath=c.path("nobody")))


@must("L195", SECTION, "listenerMetadata comes as metadata")
def _(c):
    connections, _ = heard(c, listenerMetadata="some=thing")
    eq("some=thing", json.loads(connections[0][0])["metadata"])


@must_not("L196", SECTION, "listenerMetadata without listenerPath is an error")
def _(c):
    c.refused(filtered(rule("mkdir"), listenerMetadata="x"))


@must("L197", STATE, "the state is JSON with ociVersion, pid, fds and the container's state")
def _(c):
    connections, box = heard(c)
    got = json.loads(connections[0][0])
    eq((box.pid, ["seccompFd"]), (got["pid"], got["fds"]))
    true(isinstance(got["ociVersion"], str), got)
    eq((box.id, {"a": "b"}), (got["state"]["id"], got["state"].get("annotations")))


@must("L198", STATE, "the descriptor comes by SCM_RIGHTS, named seccompFd")
def _(c):
    connections, _ = heard(c)
    eq(1, len(sum(connections[0][1], [])))


@must("L199", STATE, "descriptors come with the first message only")
def _(c):
    connections, _ = heard(c)
    eq(1, len(connections[0][1][0]), "descriptors with the first message")
    eq([], sum(connections[0][1][1:], []))
