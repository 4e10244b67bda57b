#!/usr/bin/env python3
"""coracle-annotations(7): what annotations of config.json do."""
import array
import base64
import os
import socket
import struct

import harness as h
from bundle import namespace, user_namespace
from seccomp import ARCH, MKDIR, profile, rule

LEAF = "run.oci.delegate-cgroup"


def notes(edit=None, **pairs):
    """An edit of config.json: notes(**{"run.oci.x": "y"}), and what `edit` changes."""
    def change(config):
        config["annotations"] = dict(pairs)
        if edit:
            edit(config)
    return change


def writable_cgroup(config):
    config["mounts"][-1]["options"].remove("ro")
    namespace(config, "cgroup")


class Receiver:
    """A Unix stream socket that takes one descriptor."""

    def __init__(self, c, name):
        self.path = c.path(name)
        self.server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.server.bind(self.path)
        self.server.listen(1)
        self.server.settimeout(10)

    def take(self):
        peer, _ = self.server.accept()
        peer.settimeout(10)
        _, control, _, _ = peer.recvmsg(65536, socket.CMSG_SPACE(4))
        fds = array.array("i")
        for _, kind, data in control:
            if kind == socket.SCM_RIGHTS:
                fds.frombytes(data[:4])
        h.eq(1, len(fds), "descriptors")
        return fds[0]


# ---- cgroups -----------------------------------------------------------------------------------

@h.test("delegate-cgroup: the program is in a cgroup of its own below the container's")
def _(c):
    box = c.up(c.sleeper(notes(writable_cgroup, **{LEAF: "a/leaf"})))
    h.eq("/a/leaf", h.own_cgroup(c.exec(box, "cat", "/proc/self/cgroup").ok().out))
    with open(c.cgroup(box) + "/cgroup.procs", encoding="ascii") as file:
        h.eq("", file.read(), "processes of the container's own cgroup")
    lists = [open("%s%s/cgroup.controllers" % (c.cgroup(box), sub), encoding="ascii").read()
             for sub in ("", "/a/leaf")]
    h.eq(lists[0], lists[1])
    c.kill(box, "TERM")
    c.wait_stopped(box)
    c.delete(box).ok()
    h.eq(False, os.path.exists(c.cgroup(box)))


@h.test("delegate-cgroup: its user may make more cgroups there, and none above")
def _(c):
    box = c.bundle(["sh", "-c", "cd /sys/fs/cgroup; mkdir leaf/more && echo made; "
                    "mkdir other 2>/dev/null || echo refused"],
                   notes(writable_cgroup, **{LEAF: "leaf"}), user={"uid": 1000, "gid": 1000})
    h.eq("made\nrefused\n", c.run(box).ok().out)


@h.test("delegate-cgroup in a user namespace belongs to its user there")
def _(c):
    def edit(config):
        user_namespace(config)
        writable_cgroup(config)
    box = c.bundle(["sh", "-c", "mkdir /sys/fs/cgroup/leaf/more && echo made"],
                   notes(edit, **{LEAF: "leaf"})).give(100000)
    h.eq("made\n", c.run(box).ok().out)


@h.test("delegate-cgroup: startContainer hooks, pause and kill --all reach it")
def _(c):
    def edit(config):
        config["hooks"] = {"startContainer": [{"path": "/bin/sh", "args": [
            "sh", "-c", "cat /proc/self/cgroup > /hooked"]}]}
    box = c.up(c.sleeper(notes(edit, **{LEAF: "leaf"})))
    with open(box.file("hooked"), encoding="ascii") as file:
        h.has("leaf", file.read())
    c.rt("pause", box.id).ok()
    h.eq("paused", c.status(box))
    c.rt("resume", box.id).ok()
    c.rt("kill", "--all", box.id, "KILL").ok()
    c.wait_stopped(box)


@h.test("delegate-cgroup: no way up")
def _(c):
    for path in ("..", "a/../../b", "../x"):
        c.run(c.bundle(["true"], notes(**{LEAF: path}))).fails("delegate-cgroup")
    c.run(c.bundle(["true"], notes(**{LEAF: ""}))).ok()


# ---- hooks -------------------------------------------------------------------------------------

@h.test("hooks.stdout and hooks.stderr: files get what hooks print, one after the other")
def _(c):
    out, err = c.path("out"), c.path("err")
    with open(out, "w", encoding="ascii") as file:
        file.write("before\n")

    def edit(config):
        say = {"path": "/bin/sh", "args": ["sh", "-c", "echo to out; echo to err >&2"]}
        config["hooks"] = {"createRuntime": [say], "poststart": [say]}
    c.run(c.bundle(["true"], notes(edit, **{"run.oci.hooks.stdout": out,
                                            "run.oci.hooks.stderr": err}))).ok()
    h.eq("before\nto out\nto out\n", open(out, encoding="ascii").read())
    h.eq("to err\nto err\n", open(err, encoding="ascii").read())


@h.test("hooks.stdout: the words of a hook that fails are in the message as well")
def _(c):
    def edit(config):
        config["hooks"] = {"createRuntime": [{"path": "/bin/sh", "args": [
            "sh", "-c", "echo no such bridge >&2; exit 3"]}]}
    box = c.bundle(["true"], notes(edit, **{"run.oci.hooks.stderr": c.path("err")}))
    h.only_ours("crun's message has no output then")
    c.run(box).fails("no such bridge")
    h.eq("no such bridge\n", open(c.path("err"), encoding="ascii").read())


@h.test("hooks.stdout: a relative path, a folder that is not there, a full disk")
def _(c):
    h.only_ours("crun takes relative paths")

    def edit(config):
        config["hooks"] = {"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", "echo x"]}]}
    for path, words in (("out", "absolute"), (c.path("no/out"), "no such file"),
                        ("/dev/full", "no space")):
        c.run(c.bundle(["true"], notes(edit, **{"run.oci.hooks.stdout": path}))).fails(words)


@h.test("hooks.stdout: a container whose file's folder is gone can be deleted")
def _(c):
    h.only_ours("our promise")
    os.mkdir(c.path("logs"))

    def edit(config):
        config["hooks"] = {"poststop": [{"path": "/bin/sh", "args": [
            "sh", "-c", "touch " + c.path("stopped")]}]}
    box = c.up(c.sleeper(notes(edit, **{"run.oci.hooks.stdout": c.path("logs/out")})))
    os.rmdir(c.path("logs"))
    h.has("no such file", c.delete(box, "--force").ok().err.lower())
    h.true(os.path.exists(c.path("stopped")), "the hook ran")


# ---- pidfd -------------------------------------------------------------------------------------

def same_process(fd, pid):
    with open("/proc/self/fdinfo/%d" % fd, encoding="ascii") as file:
        return h.match(r"^Pid:\t(\d+)", file.read()).group(1) == str(pid)


@h.test("pidfd_receiver gets a pidfd of the first process, as --pidfd-socket does")
def _(c):
    one, other = Receiver(c, "one"), Receiver(c, "other")
    box = c.sleeper(notes(**{"run.oci.pidfd_receiver": one.path}))
    c.create(box, *(["--pidfd-socket", other.path] if h.is_ours() else []))
    for receiver in (one, other) if h.is_ours() else (one,):
        fd = receiver.take()
        h.true(same_process(fd, c.state(box)["pid"]), "the container's process")
        os.close(fd)


@h.test("pidfd_receiver, --pidfd-socket: nobody there fails create")
def _(c):
    c.run(c.bundle(["true"], notes(**{"run.oci.pidfd_receiver": c.path("none")}))).fails()
    h.only_ours("crun has no --pidfd-socket")
    c.run(c.bundle(["true"]), "--pidfd-socket", c.path("none")).fails()


@h.test("exec --pidfd-socket")
def _(c):
    h.only_ours("crun has no --pidfd-socket")
    receiver, box = Receiver(c, "exec"), c.up(c.sleeper())
    c.exec(box, "sleep", "100", options=["-d", "--pidfd-socket", receiver.path, "--pid-file",
                                         c.path("pid")]).ok()
    fd = receiver.take()
    h.true(same_process(fd, open(c.path("pid"), encoding="ascii").read()), "exec's process")
    os.close(fd)


# ---- groups ------------------------------------------------------------------------------------

@h.test("keep_original_groups: the caller's groups stay")
def _(c):
    box = c.bundle(["id", "-G"], notes(lambda config: config["process"]["user"].update(
        additionalGids=[7]), **{"run.oci.keep_original_groups": "1"}))
    h.eq("0 12 34\n", c.run(box, preexec_fn=lambda: os.setgroups([12, 34])).ok().out)
    box = c.bundle(["id", "-G"], notes(lambda config: config["process"]["user"].update(
        additionalGids=[7]), **{"run.oci.keep_original_groups": "0"}))
    h.eq("0 7\n", c.run(box, preexec_fn=lambda: os.setgroups([12, 34])).ok().out)


# ---- seccomp -----------------------------------------------------------------------------------

def program(*instructions):
    return base64.b64encode(b"".join(struct.pack("<HBBI", *i) for i in instructions)).decode()


# Load the number; mkdir gives ENOSPC (28), everything else is allowed.
NO_MKDIR = ((0x20, 0, 0, 0), (0x15, 0, 1, MKDIR), (0x06, 0, 0, 0x5001C), (0x06, 0, 0, 0x7FFF0000))


@h.test("seccomp_bpf_data is loaded in place of linux.seccomp, for exec as well")
def _(c):
    if ARCH != "x86_64":
        h.skip("system call numbers of x86_64")
    for edit in (None, profile(rule("mkdir", errnoRet=5))):
        box = c.up(c.bundle(["sh", "-c", "probe call %d /x 0; echo up; exec sleep 100" % MKDIR],
                            notes(edit, **{"run.oci.seccomp_bpf_data": program(*NO_MKDIR)})))
        h.has("ENOSPC\n", c.output(box))
        h.eq("ENOSPC\n", c.exec(box, "probe", "call", MKDIR, "/x", "0").ok().out)
        c.delete(box, "-f").ok()


@h.test("seccomp_bpf_data that is no base64, no program, or nonsense to the kernel")
def _(c):
    h.only_ours("our words")
    for data, words in (("?", "base64"), ("AAAA", "base64"), (program((0xFFFF, 0, 0, 0)), "seccomp")):
        c.run(c.bundle(["true"], notes(**{"run.oci.seccomp_bpf_data": data}))).fails(words)


@h.test("seccomp_fail_unknown_syscall")
def _(c):
    key = "run.oci.seccomp_fail_unknown_syscall"
    edit = profile(rule("no_such_call"))
    c.run(c.bundle(["true"], notes(edit, **{key: "1"}))).fails("no_such_call")
    c.run(c.bundle(["true"], notes(edit, **{key: "0"}))).ok()
    c.run(c.bundle(["true"], edit)).ok()
    c.run(c.bundle(["true"], notes(edit, **{key: "1"}))).fails("no_such_call")
    c.run(c.bundle(["true"], notes(profile(rule("mkdir")), **{key: "1"}))).ok()


def listens(c, edit, env=None):
    """A container whose mkdir asks an agent; true if the receiver got a listener."""
    receiver = Receiver(c, "agent%d" % c.counter)
    box = c.bundle(["true"], lambda config: edit(config, receiver.path))
    c.run(box, env=env and {**os.environ, **env(receiver.path)}).ok()
    os.close(receiver.take())


@h.test("seccomp.receiver and RUN_OCI_SECCOMP_RECEIVER stand in for listenerPath")
def _(c):
    asks = profile(rule("mkdir", "SCMP_ACT_NOTIFY"))
    listens(c, lambda config, path: notes(asks, **{"run.oci.seccomp.receiver": path})(config))
    listens(c, lambda config, path: asks(config), lambda path: {"RUN_OCI_SECCOMP_RECEIVER": path})
    data = program((0x06, 0, 0, 0x7FFF0000))
    listens(c, lambda config, path: notes(**{"run.oci.seccomp.receiver": path,
                                             "run.oci.seccomp_bpf_data": data})(config))
    h.only_ours("crun takes the annotation")
    listens(c, lambda config, path: notes(profile(
        rule("mkdir", "SCMP_ACT_NOTIFY"), listenerPath=path), **{
            "run.oci.seccomp.receiver": c.path("nobody")})(config))
    c.run(c.bundle(["true"], notes(asks, **{"run.oci.seccomp.receiver": "agent"}))).fails("absolute")
    c.run(c.bundle(["true"]), env={**os.environ, "RUN_OCI_SECCOMP_RECEIVER": "x"}).fails("absolute")


# ---- what is refused ---------------------------------------------------------------------------

@h.test("handlers are refused by name, and the right runtime is named; not for a pod's sandbox")
def _(c):
    h.only_ours("crun has some")
    for key, value, words in (("run.oci.handler", "krun", "libkrun"),
                              ("run.oci.handler", "wasm", "crun or youki"),
                              ("module.wasm.image/variant", "compat", "WebAssembly"),
                              ("run.oci.seccomp.plugins", "x.so", "plugins"),
                              ("run.oci.systemd.force_cgroup_v1", "/sys/fs/cgroup/systemd",
                               "no cgroup v1")):
        done = c.run(c.bundle(["true"], notes(**{key: value}))).fails(words)
        h.has(key, done.err)
    for pairs in ({"run.oci.handler": "wasm-smart"}, {"module.wasm.image/variant": "compat-smart"},
                  {"run.oci.handler": "krun", "io.kubernetes.cri.container-type": "sandbox"},
                  {"krun.cpus": "2", "bundle": "/x", "run.oci.systemd.subgroup": "a"}):
        h.eq("ran\n", c.run(c.bundle(["echo", "ran"], notes(**pairs))).ok().out)


@h.test("annotations that mean nothing to a runtime pass, and are shown")
def _(c):
    box = c.up(c.sleeper(notes(**{"run.oci.unheard-of": "x", "org.example": ""})))
    h.eq({"run.oci.unheard-of": "x", "org.example": ""}, c.state(box)["annotations"])


if __name__ == "__main__":
    h.main()
