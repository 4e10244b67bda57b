#!/usr/bin/env python3
"""seccomp: actions, arguments, architectures, order, notification."""
import array
import json
import os
import socket

import harness as h
from seccomp import ARCH, GETCWD, MKDIR, PERSONALITY, SYNC, UNAME, profile, rule

def call(c, edit, *numbers, **process):
    """What `probe call` says in a container with this profile."""
    if ARCH != "x86_64":
        h.skip("system call numbers of x86_64")
    return c.check_output(["probe", "call", *map(str, numbers)], edit, **process).strip()


@h.test("an ERRNO rule gives EPERM, or the errno it names")
def _(c):
    h.eq("EPERM", call(c, profile(rule("mkdir")), MKDIR, "/x", 0))
    h.eq("ENOSPC", call(c, profile(rule("mkdir", errnoRet=28)), MKDIR, "/x", 0))
    h.eq("0", call(c, profile(rule("rmdir")), MKDIR, "/x", 0))


@h.test("a filter holds without noNewPrivileges as well")
def _(c):
    h.eq("EPERM", call(c, profile(rule("mkdir")), MKDIR, "/x", 0, noNewPrivileges=False))
    out = c.check_output(["grep", "^Seccomp:", "/proc/self/status"], profile(rule("mkdir")),
                         noNewPrivileges=False)
    h.eq("2", out.split()[1])


@h.test("a filter holds for a user without capabilities")
def _(c):
    h.eq("EPERM", call(c, profile(rule("mkdir")), MKDIR, "/tmp/x", 0,
                       user={"uid": 1000, "gid": 1000}))


@h.test("arguments: every operator")
def _(c):
    table = (("SCMP_CMP_EQ", 8, None, 8, 9), ("SCMP_CMP_NE", 8, None, 9, 8),
             ("SCMP_CMP_LT", 8, None, 7, 8), ("SCMP_CMP_LE", 8, None, 8, 9),
             ("SCMP_CMP_GE", 8, None, 8, 7), ("SCMP_CMP_GT", 8, None, 9, 8),
             ("SCMP_CMP_MASKED_EQ", 0xff, 8, 8, 9))
    for op, value, two, hit, miss in table:
        arg = {"index": 0, "value": value, "op": op}
        if two is not None:
            arg["valueTwo"] = two
        edit = profile(rule("personality", errnoRet=28, args=[arg]))
        h.eq("ENOSPC", call(c, edit, PERSONALITY, hit), op)
        h.true(call(c, edit, PERSONALITY, miss) != "ENOSPC", op + " struck a value it should not")


@h.test("several arguments are all needed; the same index twice means either")
def _(c):
    both = rule("prctl", errnoRet=28, args=[{"index": 0, "value": 38, "op": "SCMP_CMP_EQ"},
                                            {"index": 1, "value": 7, "op": "SCMP_CMP_EQ"}])
    h.eq("ENOSPC", call(c, profile(both), 157, 38, 7))
    h.true(call(c, profile(both), 157, 38, 8) != "ENOSPC", "one argument was enough")
    either = rule("personality", errnoRet=28, args=[
        {"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}, {"index": 0, "value": 0x20008,
                                                        "op": "SCMP_CMP_EQ"}])
    h.eq("ENOSPC", call(c, profile(either), PERSONALITY, 8))
    h.eq("ENOSPC", call(c, profile(either), PERSONALITY, 0x20008))


@h.test("64-bit argument values are compared whole")
def _(c):
    edit = profile(rule("personality", errnoRet=28, args=[
        {"index": 0, "value": 0x1_0000_0008, "op": "SCMP_CMP_EQ"}]))
    h.true(call(c, edit, PERSONALITY, 8) != "ENOSPC", "only the low half was compared")
    h.eq("ENOSPC", call(c, edit, PERSONALITY, 0x1_0000_0008))


@h.test("default deny with a list of allowed calls")
def _(c):
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench",
                           "seccomp.json"), encoding="ascii") as file:
        data = json.load(file)
    allowed = [n for n in data["allow"] if n != "mkdir"]
    edit = profile(rule(allowed, "SCMP_ACT_ALLOW"), default="SCMP_ACT_ERRNO", defaultErrnoRet=28)
    h.eq("ENOSPC", call(c, edit, MKDIR, "/x", 0))
    h.match(r"^\d+$", call(c, edit, 39))


@h.test("KILL_PROCESS, TRAP and LOG do what they say")
def _(c):
    box = c.bundle(["sh", "-c", "probe call 83 /x 0; echo status $?"],
                   profile(rule("mkdir", "SCMP_ACT_KILL_PROCESS")))
    h.has("status 159", c.run(box).ok().out)
    box = c.bundle(["sh", "-c", "probe call 83 /x 0; echo status $?"],
                   profile(rule("mkdir", "SCMP_ACT_TRAP")))
    h.has("status 159", c.run(box).ok().out)
    h.eq("0", call(c, profile(rule("mkdir", "SCMP_ACT_LOG")), MKDIR, "/x", 0))


@h.test("unknown system call names are skipped")
def _(c):
    h.eq("EPERM", call(c, profile(rule(["no_such_call", "mkdir"])), MKDIR, "/x", 0))


@h.test("unknown actions, operators, architectures and flags are refused")
def _(c):
    bad = [profile(rule("mkdir", "SCMP_ACT_PINK")), profile(default="PINK"),
           profile(rule("personality", args=[{"index": 0, "value": 1, "op": "PINK"}])),
           profile(rule("personality", args=[{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}])),
           profile(rule("mkdir"), flags=["PINK"])]
    if h.is_ours():
        bad += [profile(rule([])), profile(rule("mkdir"), architectures=["PINK"])]
    for edit in bad:
        c.run(c.bundle(["true"], edit)).fails()


@h.test("flags: none, LOG, SPEC_ALLOW, TSYNC")
def _(c):
    for flags in ([],) if not h.is_ours() else ([], ["SECCOMP_FILTER_FLAG_LOG"], ["SECCOMP_FILTER_FLAG_SPEC_ALLOW"],
                  ["SECCOMP_FILTER_FLAG_TSYNC"]):
        h.eq("EPERM", call(c, profile(rule("mkdir"), flags=flags), MKDIR, "/x", 0))
    h.only_ours("the words at level debug")
    for flags, number in ((None, 4), ([], 0), (["SECCOMP_FILTER_FLAG_TSYNC"], 0),
                          (["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"], 6)):
        more = {} if flags is None else {"flags": flags}
        box = c.bundle(["true"], profile(rule("mkdir"), **more))
        done = c.rt("run", "-b", box.path, box.id, options=["--debug"]).ok()
        h.has('"seccomp filter flags: %d"' % number, done.err)


@h.test("an exec gets the container's filter")
def _(c):
    if ARCH != "x86_64":
        h.skip("system call numbers of x86_64")
    box = c.up(c.sleeper(edit=profile(rule("mkdir"))))
    h.eq("EPERM\n", c.exec(box, "probe", "call", str(MKDIR), "/x", "0").ok().out)


@h.test("a filter that forbids what the runtime needs only forbids it to the program")
def _(c):
    names = ["getcwd", "chdir", "mount", "setns", "unshare", "pivot_root", "capset", "setgroups",
             "sethostname", "mkdirat", "openat2", "fsopen", "move_mount", "prctl", "socket"]
    done = c.run(c.bundle(["echo", "ran"], profile(rule(names))))
    if h.is_ours():
        h.eq("ran\n", done.ok().out)


@h.test("NOTIFY: the listener gets the state with the fd and answers the program")
def _(c):
    if ARCH != "x86_64":
        h.skip("system call numbers of x86_64")
    path = c.path("agent")
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(path)
    server.listen(1)
    server.settimeout(10)
    box = c.bundle(["probe", "call", str(MKDIR), "/x", "0"], profile(
        rule("mkdir", "SCMP_ACT_NOTIFY"), listenerPath=path, listenerMetadata="meta data"))
    child = c.background("run", "-b", box.path, box.id, stdout=open(c.path("out"), "wb"))
    peer, _ = server.accept()
    peer.settimeout(10)
    text, ancillary, _, _ = peer.recvmsg(65536, socket.CMSG_SPACE(4))
    fds = array.array("i")
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(data[:4])
    while not is_json(text):
        text += peer.recv(65536)
    state = json.loads(text)
    h.eq((["seccompFd"], "meta data"), (state["fds"], state["metadata"]))
    h.eq(box.id, state["state"]["id"])
    h.true(state["pid"] > 0 and os.path.exists("/proc/%d" % state["pid"]), "pid")
    answer(fds[0], 28)
    h.eq(0, child.wait(10))
    with open(c.path("out"), encoding="ascii") as file:
        h.eq("ENOSPC\n", file.read())
    os.close(fds[0])


def is_json(text):
    try:
        json.loads(text)
        return True
    except ValueError:
        return False


def answer(listener, errno):
    """Receives one notification and lets the call fail with errno."""
    import fcntl
    import struct
    request = bytearray(80)
    fcntl.ioctl(listener, 0xC0502100, request)
    identity = struct.unpack_from("Q", request)[0]
    fcntl.ioctl(listener, 0xC0182101, bytearray(struct.pack("QqiI", identity, 0, -errno, 0)))


@h.test("NOTIFY without a listener that answers fails create")
def _(c):
    done = c.run(c.bundle(["true"], profile(rule("mkdir", "SCMP_ACT_NOTIFY"),
                                            listenerPath=c.path("nobody")))).fails("failed to connect")
    h.true(done.seconds < 10, "took %g s" % done.seconds)
    c.run(c.bundle(["true"], profile(rule("mkdir", "SCMP_ACT_NOTIFY")))).fails()


@h.test("listenerMetadata without listenerPath is refused")
def _(c):
    h.only_ours("others ignore it")
    c.run(c.bundle(["true"], profile(rule("mkdir"), listenerMetadata="x"))).fails()


if __name__ == "__main__":
    h.main()
