#!/usr/bin/env python3
"""--log, --log-format, --debug, --version, help, spec, features: what tools read."""
import json
import os
import re
import socket
import subprocess

import harness as h


@h.test("on failure one JSON record goes to --log and the same words to stderr")
def _(c):
    log = c.path("log.json")
    done = c.rt("state", "nobody", options=["--log", log, "--log-format", "json"]).fails()
    with open(log, encoding="utf-8") as file:
        records = [json.loads(line) for line in file]
    errors = [r for r in records if r["level"] == "error"]
    h.eq(1, len(errors))
    h.has("does not exist", errors[0]["msg"])
    h.match(r"^\d{4}-\d\d-\d\dT", errors[0]["time"])
    if h.is_ours():
        h.eq(1, len(records))
        h.has(errors[0]["msg"], done.err)


@h.test("--log appends")
def _(c):
    log = c.path("log.json")
    for _ in range(3):
        c.rt("state", "nobody", options=["--log=" + log, "--log-format=json"]).fails()
    with open(log, encoding="utf-8") as file:
        h.eq(3, sum(json.loads(line)["level"] == "error" for line in file))


@h.test("text format, and an unknown format is refused")
def _(c):
    log = c.path("log.txt")
    c.rt("state", "nobody", options=["--log", log, "--log-format", "text"]).fails()
    with open(log, encoding="utf-8") as file:
        h.has("does not exist", file.read())
    c.rt("list", options=["--log-format", "pink"]).fails()


@h.test("--log file:PATH is that file, and a service without a name is refused")
def _(c):
    if "runc" in h.runtime()[0]:
        h.skip("runc takes paths only")
    log = c.path("log.json")
    c.rt("state", "nobody", options=["--log", "file:" + log, "--log-format", "json"]).fails()
    with open(log, encoding="utf-8") as file:
        h.has("does not exist", file.read())
    h.only_ours("the words")
    c.rt("list", options=["--log", "journald:"]).fails("journald:NAME")
    c.rt("list", options=["--log", "syslog:a b"]).fails("syslog:NAME")


def heard(c, place, option):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as service:
        service.bind(place)
        try:
            c.rt("state", "nobody", options=["--log", option]).fails("does not exist")
            service.settimeout(5)
            return service.recv(4096)
        finally:
            os.unlink(place)


@h.test("--log journald:NAME and syslog:NAME send a datagram to the service")
def _(c):
    h.only_ours("sinks by name")
    if os.path.lexists("/dev/log"):
        h.skip("/dev/log is in use on this machine")
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
    try:
        os.makedirs("/run/systemd/journal")
        for place, option in (("/run/systemd/journal/socket", "journald:box"),
                              ("/dev/log", "syslog:box")):
            words = heard(c, place, option)
            h.has(b"box", words)
            h.has(b"container does not exist", words)
    finally:
        subprocess.run(["umount", "-l", "/run"], check=True)


@h.test("a log that cannot be opened is an error")
def _(c):
    c.rt("list", options=["--log", c.path("no", "such", "dir", "log")]).fails()


@h.test("success writes nothing on stderr and no error in the log")
def _(c):
    log = c.path("log.json")
    box = c.bundle(["true"])
    done = c.rt("run", "-b", box.path, box.id, options=["--log", log, "--log-format", "json"]).ok()
    h.eq("", done.err)
    if os.path.exists(log):
        with open(log, encoding="utf-8") as file:
            h.lacks('"error"', file.read())


@h.test("--debug tells of the making, on stderr or in the log, in the words runc's suite looks for")
def _(c):
    if "crun" in h.runtime()[0]:
        h.skip("other words")
    common = ["nsexec container setup", "child process in init()"]
    box = c.bundle(["sh", "-c", "echo up; sleep 1000"])
    log = c.path("log.txt")
    c.up(box, globals_=("--debug", "--log", log))
    done = c.rt("exec", box.id, "true", options=["--debug"]).ok()
    for words in common + ["setns_init: about to exec", "level=debug"]:
        h.has(words, done.err)
    run = c.rt("run", "-b", c.bundle(["true"]).path, "x" + box.id,
               options=["--debug", "--log", log]).ok()
    h.eq("", run.err)
    with open(log, encoding="utf-8") as file:
        text = file.read()
    for words in common + ["init: closing the pipe to signal completion"]:
        h.has(words, text)


@h.test("strange bytes in an error stay valid JSON")
def _(c):
    log = c.path("log.json")
    box = c.bundle(['/no/"such"\\\u0001\u00e9\nprogram'])
    c.rt("run", "-b", box.path, box.id, options=["--log", log, "--log-format", "json"]).fails()
    with open(log, encoding="utf-8") as file:
        for line in file:
            json.loads(line)


@h.test("--version names the program, its version and the spec's")
def _(c):
    for flag in ("--version", "-v"):
        out = c.rt(flag).ok().out
        h.match(r"^\S+ version \S+", out)
        h.match(r"^spec: 1\.\d+\.\d+", out)


@h.test("--help and help list the commands, a command's --help its options")
def _(c):
    for args in (["--help"], ["-h"]):
        out = c.rt(*args).ok().out
        for command in ("create", "start", "state", "kill", "delete", "run", "exec", "list"):
            h.match(r"\b%s\b" % command, out)
    out = c.rt("create", "--help").ok().out
    for option in ("--bundle", "--console-socket", "--pid-file", "--no-pivot", "--preserve-fds"):
        h.has(option, out)


@h.test("spec writes a config that runs, and never over another")
def _(c):
    box = c.bundle(["true"])
    config = os.path.join(box.path, "config.json")
    os.unlink(config)
    c.rt("spec", cwd=box.path).ok()
    with open(config, encoding="utf-8") as file:
        made = json.load(file)
    h.eq(["sh"], made["process"]["args"])
    made["process"].update(terminal=False, args=["echo", "made"])
    made["linux"]["cgroupsPath"] = "/" + box.id
    with open(config, "w", encoding="utf-8") as file:
        json.dump(made, file)
    h.eq("made\n", c.run(box).ok().out)
    c.rt("spec", cwd=box.path).fails("exist")
    os.mkdir(c.path("other"))
    c.rt("spec", "--bundle", c.path("other")).ok()
    h.true(os.path.exists(c.path("other", "config.json")), "no config.json")


@h.test("spec --rootless has a user namespace with mappings and no cgroup limits")
def _(c):
    os.mkdir(c.path("r"))
    c.rt("spec", "--rootless", "-b", c.path("r")).ok()
    with open(c.path("r", "config.json"), encoding="utf-8") as file:
        made = json.load(file)
    h.true("user" in [n["type"] for n in made["linux"]["namespaces"]], "no user namespace")
    h.eq(1, made["linux"]["uidMappings"][0]["size"])


@h.test("features is complete JSON")
def _(c):
    done = c.rt("features")
    if not h.is_ours() and done.status:
        h.skip("this runtime has no features")
    found = json.loads(done.ok().out)
    h.match(r"^1\.", found["ociVersionMax"])
    for option in ("ro", "rbind", "rro", "idmap"):
        h.true(option in found["mountOptions"], option)
    linux = found["linux"]
    h.true({"pid", "mount", "user", "cgroup", "time"} <= set(linux["namespaces"]), "namespaces")
    h.true("CAP_SYS_ADMIN" in linux["capabilities"], "capabilities")
    h.true(linux["cgroup"]["v2"] and linux["seccomp"]["enabled"], "cgroup or seccomp")
    h.true(linux["mountExtensions"]["idmap"]["enabled"], "idmap")


@h.test("plan prints what create would do and does nothing")
def _(c):
    h.only_ours("plan is ours")
    box = c.bundle(["true"])
    out = c.rt("plan", box.path).ok().out
    for word in ("clone", "pivot", "/proc"):
        h.match("(?i)" + re.escape(word), out)
    h.true(not os.path.exists(c.root) or not os.listdir(c.root), "state was made")
    h.true(not os.path.exists(c.cgroup(box)), "a cgroup was made")


@h.test("an error names the step and its place in the config")
def _(c):
    h.only_ours("our messages")
    box = c.bundle(["true"], lambda cfg: cfg["mounts"].insert(
        0, {"destination": "/x", "type": "tmpfs", "source": "x", "options": ["size=pink"]}))
    c.run(box).fails(r"mounts\[0\].*/x")


@h.test("--log-format json without --log: a failure on stderr is a record")
def _(c):
    h.only_ours("runc writes text to stderr")
    for args in (["state", "nobody"], ["frobnicate"], ["exec", "nobody"], ["state", "--pink"]):
        done = c.rt(*args, options=["--log-format", "json"]).fails()
        record = json.loads(done.err)
        h.eq("error", record["level"], args)
    done = c.rt("list", options=["--log-format", "json", "--pink"]).fails()
    h.has("--pink", json.loads(done.err)["msg"])


def unusable(c, log, reason, **more):
    for args in (["list"], ["run", "nobody"], ["delete", "--force", "nobody"]):
        done = c.rt(*args, options=["--log", log], **more).fails("--log", status=1)
        h.has(reason, done.err, log)
        h.lacks("nobody", done.err, "it went on")
    c.rt("--log", log, "--version", **more).ok()


@h.test("a --log that cannot be written to: status 1 at once")
def _(c):
    h.only_ours("the words")
    unusable(c, c.path("absent/log"), "(ENOENT)")
    unusable(c, c.scratch, "(EISDIR)")
    unusable(c, "/dev/full", "(ENOSPC)")
    fifo = c.path("fifo")
    os.mkfifo(fifo)
    unusable(c, fifo, "(ENXIO)")
    disk = c.path("disk")
    os.mkdir(disk)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], check=True)
    c.undo.append(lambda: subprocess.run(["umount", disk], check=True))
    with open(disk + "/big", "wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            pass  # full
    unusable(c, disk + "/log", "(ENOSPC)")
    unusable(c, "journald:x" if not os.path.exists("/run/systemd/journal/socket") else
             c.path("absent/log"), "(ENOENT)")


@h.test("a --log without the right to write it: status 1 at once")
def _(c):
    h.only_ours("the words")
    os.chmod(c.scratch, 0o755)
    log = c.path("log")
    with open(log, "w", encoding="utf-8"):
        os.chmod(log, 0o600)
    done = c.command(h.runtime() + ["--log", log, "list"], user=65534, group=65534,
                     env=dict(os.environ, XDG_RUNTIME_DIR=c.scratch)).fails("--log", status=1)
    h.has("(EACCES)", done.err)


@h.test("what an option says is shown without its control characters")
def _(c):
    h.only_ours("the words")
    for args in (["state", "a\nb\x1b[31m"], ["run", "-b", "/no\nsuch\x1b[2J", "x"],
                 ["exec", "--process", "/no\n\x9b", "x"], ["update", "-r", "/a\x1b", "x"],
                 ["pink\x1b]0;x\x07"], ["--pink\n"], ["list", "--format", "\x1b"]):
        err = c.rt(*args).fails().err
        h.eq([], [char for char in err[:-1] if ord(char) < 0x20 or 0x7f <= ord(char) < 0xa0], args)
        h.match(r"\\x(0a|1b|c2\\x9b)", err, args)


if __name__ == "__main__":
    h.main()
