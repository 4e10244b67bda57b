#!/usr/bin/env python3
"""A container with CAP_SYS_PTRACE goes for every process of the runtime that comes into its view.

Each test makes such a neighbour, lets the runtime work beside it or in it ATTACK_ROUNDS times, and
counts what the neighbour got. In a user namespace it may get nothing of a process before that is
the container's program. Without one the kernel lets it trace the init: then nothing of the host
may be found in it.
"""
import json
import os
import pty
import subprocess

import attack
import harness as h
import rootless
import shim
from bundle import bind, user_namespace
from fake_criu import FakeCriu

# Neighbours: words for them, and what they are made with.
IN_USER = ("in a user namespace", {"user": True})
TRACER = ("in a user namespace, with CAP_SYS_PTRACE only", {"user": True, "caps": attack.PTRACE})
IDENTITY = ("in a user namespace that maps every id to itself", {"user": "identity"})
HOST_PIDS = ("in a user namespace and the host's pid namespace", {"user": True, "host_pid": True})
WITHOUT = ("without a user namespace", {})
REST = ["network", "ipc", "uts", "cgroup"]


def other_users(config):
    user_namespace(config, host=300000)
    attack.bind_proc(config)


def all_users(config):
    user_namespace(config, **attack.IDENTITY)
    attack.bind_proc(config)


# (neighbour, namespaces of it that are joined, what else is in the victim's config)
PLACES = [
    (IN_USER, ["user", "pid"], None),
    (TRACER, ["user", "pid"], None),
    (IN_USER, ["user", "pid", *REST], None),
    (IN_USER, ["pid"], None),
    (IN_USER, ["pid"], other_users),
    (IDENTITY, ["user", "pid"], None),
    (IDENTITY, ["pid"], all_users),
    (HOST_PIDS, ["user"], None),
    (HOST_PIDS, [], None),
    (HOST_PIDS, [], other_users),
    (HOST_PIDS, [], all_users),
    (WITHOUT, ["pid"], None),
    (WITHOUT, ["pid", *REST], None),
    (WITHOUT, ["pid"], other_users),
]


def words(place):
    (neighbour, _), kinds, edit = place
    own = {None: "", other_users: " and has a user namespace of its own",
           all_users: " and has a user namespace of its own with every id"}[edit]
    return "that joins %s%s; the attacker is %s" % (" ".join(kinds) or "nothing", own, neighbour)


def at(place, name):
    """Registers a test body(c, a, box) for each victim of this place."""
    def register(body):
        (_, made), kinds, edit = place

        @h.test("%s %s" % (name, words(place)))
        def _(c):
            with attack.Neighbour(c, **made) as a:
                body(a, a.victim(kinds, edit=edit))
                a.judge()
        return body
    return register


def create(a, box):
    for _ in attack.rounds(a):
        a.rt("create", "-b", box.path, box.id).ok()
        a.rt("delete", "--force", box.id).ok()


def run(a, box):
    for _ in attack.rounds(a):
        a.rt("run", "-b", box.path, box.id).ok()


def whole_life(a, box):
    for _ in attack.rounds(a):
        a.rt("create", "-b", box.path, box.id).ok()
        a.rt("start", box.id).ok()
        a.rt("delete", "--force", box.id).ok()


for _place in PLACES:
    at(_place, "create")(create)
for _place in PLACES:
    if _place[0] in (IN_USER, IDENTITY, WITHOUT) and "network" not in _place[1]:
        at(_place, "run")(run)


@h.test("create that joins user but not pid: the attacker does not even see it")
def _(c):
    with attack.Neighbour(c, user=True) as a:
        create(a, a.victim(["user"]))
        a.judge(victims=0)
        h.eq(0, a.report.victims["seen"], "processes that it saw")


# ---- what enters the attacker itself ---------------------------------------------------------

def exec_true(a):
    a.rt("exec", a.box.id, "true").ok()


def exec_detached_as_user(a):
    a.rt("exec", "-d", "-u", "1000:1000", a.box.id, "true").ok()


def exec_on_terminal(a):
    master, slave = pty.openpty()
    argv = a.argv("exec", "-t", a.box.id, "true")
    status = attack.unless_busy(lambda: subprocess.run(
        argv, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, timeout=h.TIMEOUT,
        check=False, cwd=a.c.scratch)).returncode
    os.close(slave)
    os.close(master)
    h.eq(0, status, "exec -t")


def change_mounts(a):
    source = a.c.path("extra")
    os.makedirs(source, 0o755, exist_ok=True)
    for what in ("add", "remove"):
        a.rt("mounts", what, a.box.id, "-", stdin=json.dumps([bind(source, "/mnt/new")])).ok()


def again(once):
    def body(a):
        for _ in attack.rounds(a):
            once(a)
        # A runtime that never enters the pid namespace to change mounts is not seen there at all.
        a.judge(**({"victims": 0} if once is change_mounts else {}))
    return body


ENTRIES = [("exec into", exec_true), ("exec -d -u 1000 into", exec_detached_as_user),
           ("exec -t into", exec_on_terminal), ("mounts add and remove in", change_mounts)]

for _name, _once in ENTRIES:
    for _words, _made in (IN_USER, TRACER, IDENTITY, HOST_PIDS, WITHOUT):
        @h.test("%s an attacker %s" % (_name, _words))
        def _(c, once=_once, made=_made):
            if once is change_mounts:
                h.only_ours("only coracle has mounts add")
            with attack.Neighbour(c, **made) as a:
                again(once)(a)


# ---- hooks -----------------------------------------------------------------------------------

HOOKS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
# Reads the state, then about a millisecond for which the attacker has the hook before it.
SCRIPT = "while read -r line; do :; done; i=0; while [ $i -lt 1000 ]; do i=$((i+1)); done"


def hook(kind):
    return lambda config: config.update(hooks={kind: [
        {"path": "/bin/sh", "args": ["sh", "-c", SCRIPT], "env": ["PATH=/bin"]}]})


for _kind in HOOKS:
    for (_words, _made), _joined in ((IN_USER, ["user", "pid"]), (IDENTITY, ["user", "pid"]),
                                     (HOST_PIDS, ["user"]), (WITHOUT, ["pid"])):
        @h.test("a %s hook of a container that joins %s; the attacker is %s" % (
            _kind, " ".join(_joined), _words))
        def _(c, kind=_kind, made=_made, joined=_joined):
            with attack.Neighbour(c, **made) as a:
                a.may_have_hooks = kind == "createContainer"
                # The specification puts the host's program into the container's pid namespace
                # before the root is changed, and whoever has CAP_SYS_PTRACE over the host sees it.
                a.host_is_seen = a.may_have_hooks and made is WITHOUT[1]
                whole_life(a, a.victim(joined, edit=hook(kind)))
                a.judge()


# ---- the shim --------------------------------------------------------------------------------

for (_words, _made), _joined in ((IN_USER, ["user", "pid"]), (IDENTITY, ["user", "pid"]),
                                 (HOST_PIDS, ["user"]), (WITHOUT, ["pid"])):
    @h.test("the shim's Create that joins %s; the attacker is %s" % (" ".join(_joined), _words))
    def _(c, made=_made, joined=_joined):
        h.only_ours("the shim is coracle's")
        with attack.Neighbour(c, **made) as a:
            box = a.victim(joined)
            with shim.Shim(c, box) as s:
                for _ in attack.rounds(a):
                    s.create(box)
                    s.kill(box)
                    s.wait(box)
                    s.delete(box)
                a.judge()


class InShim(attack.Neighbour):
    """An attacker in a container of the shim."""
    shim = None

    def _start(self):
        self.shim = shim.Shim(self.c, self.box)
        self.io = self.shim.stdio("attacker")
        self.pid = self.shim.create(self.box, self.io)
        self.shim.start(self.box)
        h.until(lambda: "up\n" in self.text(), "the attacker's first line")

    def text(self):
        return self.io.data["stdout"].decode()

    def __exit__(self, *ended):
        if self.shim:
            self.shim.__exit__()
        super().__exit__(*ended)


for _words, _made in (IN_USER, TRACER, IDENTITY, HOST_PIDS, WITHOUT):
    @h.test("the shim's Exec into an attacker %s" % _words)
    def _(c, made=_made):
        h.only_ours("the shim is coracle's")
        with InShim(c, **made) as a:
            for number in attack.rounds(a):
                name = "e%d" % number
                a.shim.exec_start(a.box, name, ["true"])
                a.shim.wait(a.box, name)
                a.shim.delete(a.box, name)
            a.judge()


# ---- restore ---------------------------------------------------------------------------------

def restore(a, box, env):
    """A container that ran is restored again and again."""
    images = a.c.path("images")
    a.rt("create", "-b", box.path, box.id).ok()
    a.rt("start", box.id).ok()
    a.rt("checkpoint", "--image-path", images, box.id, env=env).ok()
    for _ in attack.rounds(a):
        a.rt("restore", "-d", "-b", box.path, "--image-path", images, box.id, env=env).ok()
        a.rt("delete", "--force", box.id).ok()
    a.judge()


# Criu makes the processes of the container, so the attacker has to see those of the runtime.
@h.test("restore of a container that joins user, by a program in criu's place; the attacker is %s"
        % HOST_PIDS[0])
def _(c):
    h.only_ours("criu is called in another way")
    criu = FakeCriu(c).env()  # which it finds beside the runtime that was built
    with attack.Neighbour(c, **HOST_PIDS[1]) as a:
        restore(a, a.victim(["user"], ["sleep", "1000"]), criu)


@h.test("restore by criu, of a container that joins network, ipc and uts of the attacker",
        needs=("criu",))
def _(c):
    with attack.Neighbour(c, **HOST_PIDS[1]) as a:
        restore(a, a.victim(["network", "ipc", "uts"], ["sleep", "1000"]), None)


# ---- an ordinary user ------------------------------------------------------------------------

@h.test("rootless: create that joins user and pid of an attacker of the same user")
def _(c):
    with attack.Neighbour(c, user=True, by=rootless.User(c)) as a:
        create(a, a.victim(["user", "pid"]))
        a.judge()


@h.test("rootless: run that joins user and pid of an attacker of the same user")
def _(c):
    with attack.Neighbour(c, user=True, by=rootless.User(c)) as a:
        run(a, a.victim(["user", "pid"]))
        a.judge()


@h.test("rootless with ids from /etc/subuid: create that joins user and pid",
        needs=("newuidmap",))
def _(c):
    with attack.Neighbour(c, user=True, by=rootless.User(c, ids=True),
                          edit=rootless.more_ids) as a:
        create(a, a.victim(["user", "pid"]))
        a.judge()


for _name, _once in ENTRIES:
    if _once is exec_detached_as_user:  # who has one id has one user
        continue

    @h.test("rootless: %s an attacker" % _name)
    def _(c, once=_once):
        if once is change_mounts:
            h.only_ours("only coracle has mounts add")
        with attack.Neighbour(c, user=True, by=rootless.User(c)) as a:
            again(once)(a)


# To let an ordinary user's runtime into the waiting init, that would have to be open to everybody in
# the user namespace that it shares.
def refused_for_a_user(c, kind):
    with attack.Neighbour(c, user=True, by=rootless.User(c)) as a:
        a.rt("create", "-b", a.victim(["user", "pid"], edit=hook(kind)).path, "x").fails(
            "hooks.startContainer")


for _kind in HOOKS:
    @h.test("rootless: a %s hook of a container that joins user and pid" % _kind)
    def _(c, kind=_kind):
        if kind == "startContainer" and h.is_ours():
            return refused_for_a_user(c, kind)
        with attack.Neighbour(c, user=True, by=rootless.User(c)) as a:
            a.may_have_hooks = kind == "createContainer"
            whole_life(a, a.victim(["user", "pid"], edit=hook(kind)))
            a.judge()


if __name__ == "__main__":
    h.main()
