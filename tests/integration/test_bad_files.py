#!/usr/bin/env python3
"""Every command where its files are not what they should be, and every word that is missing: a
clear message, status 1 (exec: 255), and nothing changed."""
import json
import os
import re
import subprocess

import harness as h

NEED = {"create": 1, "run": 1, "start": 1, "exec": 2, "state": 1, "ps": 1, "kill": 1, "delete": 1,
        "pause": 1, "resume": 1, "checkpoint": 1, "restore": 1, "update": 1, "mounts": 2,
        "events": 1, "stats": 1, "wait": 1, "completion": 1, "plan": 1, "list": 0, "spec": 0,
        "features": 0, "info": 0, "version": 0, "help": 0}


def status_of(command):
    return 255 if command == "exec" else 1


@h.test("no command is forgotten here")
def _(c):
    h.only_ours("its commands")
    text = c.rt("--help").ok().out.split("COMMANDS:")[1].split("GLOBAL")[0]
    h.eq(sorted(NEED), sorted(re.findall(r"^  ([a-z]+) ", text, re.M)))


@h.test("a missing argument: the usage is told, on standard error alone")
def _(c):
    h.only_ours("its words")
    for command, count in NEED.items():
        for given in range(count):
            done = c.rt(command, *["a"] * given)
            words = "no COMMAND" if (command, given) == ("exec", 1) else "missing argument; usage"
            done.fails(words, status=status_of(command))
            h.eq("", done.out, command)
    for command in ("state", "start", "list", "features", "version", "info", "resume"):
        c.rt(command, "a", "b", "c").fails("unexpected argument; usage", status=1)


@h.test("an unknown option, an option without its value, a value that is none")
def _(c):
    h.only_ours("its words")
    for command in NEED:
        for option in ("--no-such-option", "-Z"):
            done = c.rt(command, option).fails("option", status=status_of(command))
            h.eq("", done.out, command)
    for words in (["create", "--bundle"], ["run", "--preserve-fds"], ["exec", "--cwd"],
                  ["list", "--format"], ["events", "--interval"], ["update", "--memory"],
                  ["restore", "--image-path"]):
        c.rt(*words).fails("option", status=status_of(words[0]))
    for words in (["create", "--preserve-fds", "-1", "x"], ["events", "--interval", "soon", "x"],
                  ["list", "--format", "xml"], ["run", "--detach=perhaps", "x"],
                  ["exec", "--user", "root:", "x", "true"], ["kill", "x", "SIGPINK"]):
        c.rt(*words).fails(status=status_of(words[0]))


def bad_files(c):
    """{what: (path, words of the message)}"""
    os.mkdir(c.path("folder"))
    os.mkfifo(c.path("fifo"))
    for name, text in (("broken", "{"), ("empty", ""), ("array", "[1]"), ("number", "7")):
        with open(c.path(name), "w", encoding="ascii") as file:
            file.write(text)
    os.symlink("loop", c.path("loop"))
    return {"missing": "no such file", "folder": "directory|regular", "fifo": "regular|empty",
            "broken": "broken", "empty": "empty", "array": "expected|array",
            "number": "expected|number|array", "loop": "symbolic|loop"}


@h.test("files with JSON: update --resources, exec --process, mounts add, --config")
def _(c):
    h.only_ours("its words")
    box = c.up(c.sleeper())
    with open("%s/%s/state.json" % (c.root, box.id), encoding="utf-8") as file:
        before = file.read()
    for name, words in bad_files(c).items():
        path = c.path(name)
        c.rt("run", "--bundle", box.path, "--config", path, "other", timeout=10).fails(
            words, status=1)
        if name == "fifo":
            continue  # as with cat(1), whoever names one waits for who writes to it
        c.rt("update", "--resources", path, box.id, timeout=10).fails(words, status=1)
        c.rt("exec", "--process", path, box.id, timeout=10).fails(words, status=255)
        c.rt("mounts", "add", box.id, path, timeout=10).fails(
            words if name != "array" else "expected|object", status=1)
    with open("%s/%s/state.json" % (c.root, box.id), encoding="utf-8") as file:
        h.eq(before, file.read())
    h.eq("running", c.status(box))


@h.test("update --resources - with standard input closed, empty, or no JSON")
def _(c):
    h.only_ours("its words")
    box = c.up(c.sleeper())
    c.rt("update", "--resources", "-", box.id, stdin="").fails("empty|expected", status=1)
    c.rt("update", "--resources", "-", box.id, stdin="{").fails(status=1)
    c.rt("update", "--resources", "-", box.id, preexec_fn=lambda: os.close(0)).fails(status=1)
    h.eq("running", c.status(box))


@h.test("places to write to: pid file, sockets, checkpoint's images, spec")
def _(c):
    h.only_ours("its words")
    box, nowhere = c.sleeper(), c.path("no/such/place")
    for option in ("--pid-file", "--pidfd-socket"):
        c.rt("create", "-b", box.path, option, nowhere, box.id).fails("no such file", status=1)
    box.config["process"]["terminal"] = True
    box.write()
    c.rt("create", "-b", box.path, "--console-socket", nowhere, box.id).fails("no such file",
                                                                             status=1)
    box.config["process"]["terminal"] = False
    box.write()
    h.eq([], [name for name in os.listdir(c.root) if name[0] != "."])
    c.up(box)
    c.rt("exec", "-d", "--pid-file", nowhere, box.id, "sleep", "1").fails("no such file",
                                                                         status=255)
    c.rt("checkpoint", "--image-path", nowhere, box.id).fails("no such file|criu", status=1)
    c.rt("spec", "--bundle", nowhere).fails("no such file", status=1)
    c.rt("spec", "--bundle", box.path).fails("exist", status=1)
    h.eq("running", c.status(box))


# What prints something, and what it needs; each with a running container.
PRINT = (["state", "ID"], ["list"], ["list", "-q"], ["list", "-f", "json"], ["ps", "ID"],
         ["ps", "-f", "json", "ID"], ["events", "--stats", "ID"], ["stats", "ID"], ["features"],
         ["info"], ["version"], ["help"], ["help", "run"], ["--help"], ["run", "--help"],
         ["--version"], ["completion", "bash"], ["plan", "."], ["plan", "--format", "json", "."],
         ["mounts", "list", "ID"])


def output_to(c, box, words, path, preexec=None):
    argv = h.runtime() + ["--root", c.root] + [box.id if w == "ID" else w for w in words]
    with open(path, "wb") as out:
        return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE,
                              cwd=box.path, preexec_fn=preexec, timeout=20, check=False)


@h.test("standard output on a full disk is an error of whatever prints")
def _(c):
    h.only_ours("its commands")
    box = c.up(c.sleeper())
    for words in PRINT:
        done = output_to(c, box, words, "/dev/full")
        h.eq(1, done.returncode, " ".join(words))
        h.has(b"No space left on device", done.stderr, " ".join(words))
    h.eq("running", c.status(box))


@h.test("standard output that is closed, or whose reader is gone")
def _(c):
    h.only_ours("its commands")
    box = c.up(c.sleeper())
    for words in PRINT:
        done = output_to(c, box, words, "/dev/null", lambda: os.close(1))
        h.eq((0, b""), (done.returncode, done.stderr), " ".join(words))
        reader, writer = os.pipe()
        os.close(reader)
        done = output_to(c, box, words, "/dev/null", lambda w=writer: os.dup2(w, 1))
        os.close(writer)
        h.true(done.returncode in (1, -13), "%s: %s" % (words, done))
    h.eq("running", c.status(box))


@h.test("a state root with room for less and less")
def _(c):
    h.only_ours("its promise")
    os.makedirs(c.root, mode=0o700)
    worked = 0
    box = c.sleeper()
    for options in ["size=%dk" % n for n in (4, 8, 12, 16, 24, 32)] + ["nr_inodes=%d" % n for n in
                                                                      range(1, 8)]:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=700," + options, "tmpfs", c.root],
                       check=True)
        try:
            done = c.try_create(box)
            if done.status != 0:
                done.fails("No space left on device", status=1)
                h.eq([], [name for name in os.listdir(c.root) if name[0] != "."], options)
                h.eq(False, os.path.exists(c.cgroup(box)), "its cgroup, " + options)
            else:
                worked += 1
                c.delete(box, "--force").ok()
        finally:
            subprocess.run(["umount", "-l", c.root], check=True)
    h.true(0 < worked < 13, "%d of 13 worked" % worked)


@h.test("a state root that others may write to, that is a link, that belongs to another")
def _(c):
    h.only_ours("its words")
    box = c.bundle(["true"])
    os.makedirs(c.root)
    os.chmod(c.root, 0o777)
    c.run(box).fails("written to by other users", status=1)
    os.chmod(c.root, 0o700)
    os.chown(c.root, 1234, 1234)
    c.run(box).fails("belongs to user 1234", status=1)
    os.chown(c.root, 0, 0)
    c.rt("list", options=("--root", "/")).fails("cannot be the state root", status=1)


@h.test("a container whose files are damaged: said of it, and the others go on")
def _(c):
    h.only_ours("its files")
    box, other = c.up(c.sleeper()), c.up(c.sleeper())
    path = "%s/%s/state.json" % (c.root, box.id)
    with open(path, encoding="utf-8") as file:
        good = file.read()
    for text in ("{", "[]", "null", good[:-20], good.replace('"format":1', '"format":99'),
                 good.replace(":", ";", 3)):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        for words in (["state"], ["kill"], ["pause"], ["ps"], ["delete"]):
            c.rt(*words, box.id).fails("state.json", status=1)
        listed = c.rt("list", "-f", "json").ok()
        h.eq([other.id], [row["id"] for row in json.loads(listed.out)])
        h.has(box.id, listed.err)
    with open(path, "w", encoding="utf-8") as file:
        file.write(good)
    h.eq("running", c.status(box))


if __name__ == "__main__":
    h.main()
