#!/usr/bin/env python3
"""Opening one's stdio anew, as daemons do by /dev/stdout, and whose files change hands for it."""
import os
import stat

import harness as h
from bundle import user_namespace

AGAIN = ["sh", "-c", "cat /dev/stdin; echo out >> /dev/stdout; echo err >> /dev/stderr"]


class Streams:
    """Three pipes or files of root's: what goes in, what came out."""

    def __init__(self, c, kind, folder):
        self.paths = [c.path(folder + name) for name in ("in", "out", "err")]
        if kind == "pipes":
            ends = [os.pipe() for _ in range(3)]
            os.write(ends[0][1], b"in\n")
            os.close(ends[0][1])
            self.theirs, self.ours = [ends[0][0], ends[1][1], ends[2][1]], [ends[1][0], ends[2][0]]
        else:
            with open(self.paths[0], "w", encoding="ascii") as file:
                file.write("in\n")
            self.theirs = [os.open(self.paths[0], os.O_RDONLY)] + [
                os.open(path, os.O_WRONLY | os.O_CREAT, 0o600) for path in self.paths[1:]]
            self.ours = [os.open(path, os.O_RDONLY) for path in self.paths[1:]]

    def popen(self):
        return dict(zip(("stdin", "stdout", "stderr"), self.theirs))

    def said(self):
        for end in self.theirs:
            os.close(end)
        text = b"".join(os.read(end, 1000) for end in self.ours)
        for end in self.ours:
            os.close(end)
        return text.decode()


def for_users(c, also_users=(0, 1000)):
    for mapped in (True, False):
        for uid in also_users:
            def edit(config, uid=uid, mapped=mapped):
                config["process"]["user"] = {"uid": uid, "gid": uid}
                if mapped:
                    user_namespace(config)
            yield "uid %d%s" % (uid, ", mapped" if mapped else ""), edit


@h.test("run: pipes and files are opened anew, by root and others, mapped or not")
def _(c):
    for kind in ("pipes", "files"):
        for number, (words, edit) in enumerate(for_users(c)):
            box = c.bundle(AGAIN, edit).give(100000 if "mapped" in words else 0)
            streams = Streams(c, kind, "%s%d" % (kind, number))
            child = c.background("run", "--bundle", box.path, box.id, **streams.popen())
            h.eq(0, child.wait(h.TIMEOUT), "%s, %s" % (kind, words))
            h.eq("in\nout\nerr\n", streams.said(), "%s, %s" % (kind, words))


@h.test("exec: pipes and files are opened anew, by root and others, mapped or not")
def _(c):
    for mapped in (True, False):
        box = c.up(c.bundle(["sh", "-c", "echo up; exec sleep 1000"],
                            user_namespace if mapped else None).give(100000 if mapped else 0))
        for kind in ("pipes", "files"):
            for uid in (0, 1000):
                words = "%s%d%s" % (kind, uid, "m" if mapped else "")
                streams = Streams(c, kind, words)
                child = c.background("exec", "-u", "%d:%d" % (uid, uid), box.id, *AGAIN,
                                     **streams.popen())
                h.eq(0, child.wait(h.TIMEOUT), words)
                h.eq("in\nout\nerr\n", streams.said(), words)


@h.test("no device of the host's and no file that is only read changes hands")
def _(c):
    h.only_ours("runc spares /dev/null alone")
    lent = c.path("lent")
    with open(lent, "w", encoding="ascii"):
        os.chmod(lent, 0o600)
    for words, edit in for_users(c):
        for path in ("/dev/null", "/dev/zero", "/dev/full", lent):
            before = os.stat(path)
            c.undo.append(lambda path=path: os.chown(path, 0, 0))  # the machine's, whatever happens
            box = c.bundle(["true"], edit).give(100000 if "mapped" in words else 0)
            with open(path, "rb") as file:
                h.eq(0, c.background("run", "--bundle", box.path, box.id,
                                     stdin=file).wait(h.TIMEOUT), words)
            after = os.stat(path)
            h.eq((before.st_uid, before.st_gid, stat.S_IMODE(before.st_mode)),
                 (after.st_uid, after.st_gid, stat.S_IMODE(after.st_mode)), path + ", " + words)


if __name__ == "__main__":
    h.main()
