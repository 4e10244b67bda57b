#!/usr/bin/env python3
"""Input that is wrong: every command answers with words, soon, and touches nothing."""
import copy
import json
import os

import harness as h
import isolation
from bundle import BASE, bind, mount

IDS = (".", "..", "a/b", "/", "", "a b", "a\nb", "a\tb", "\u00e9", "x" * 2000, "a:b", "*",
       "../../etc", "a\\b", "a'b", "$(id)")
COMMANDS = ("create", "run", "start", "state", "kill", "delete", "exec", "ps", "pause", "resume",
            "update", "events")


@h.test("an id outside the grammar is refused by every command")
def _(c):
    h.only_ours("others accept some")
    box = c.bundle(["true"])
    os.makedirs(c.root)
    for name in IDS:
        for command in COMMANDS:
            args = {"create": ["-b", box.path], "run": ["-b", box.path]}.get(command, [])
            more = {"exec": ["true"], "kill": ["TERM"], "events": []}.get(command, [])
            done = c.rt(command, *args, name, *more)
            if done.status == 0:
                h.fail("%s accepted the id %r" % (command, name))
            done.fails()
    h.eq([], os.listdir(c.root))


@h.test("a missing or superfluous argument is refused")
def _(c):
    h.only_ours("others differ")
    for command in COMMANDS:
        c.rt(command).fails()
    for command in ("start", "state", "delete", "pause", "resume"):
        c.rt(command, "a", "b").fails()


@h.test("unknown commands and options are refused with status 1 and words on stderr only")
def _(c):
    h.only_ours("others print help on stdout")
    for args in (["pink"], ["--pink"], ["create", "--pink", "x"], ["state", "--pink", "x"], [""],
                 ["delete", "--force=maybe", "x"], ["create", "--bundle"], ["-"]):
        done = c.rt(*args).fails(status=1)
        h.eq("", done.out, str(args))


@h.test("no command at all is help or an error, never a crash")
def _(c):
    done = c.rt()
    h.true(done.status in (0, 1) and (done.out or done.err), done.words())


@h.test("a bundle that is not there, without config, or that is a file")
def _(c):
    c.rt("create", "-b", c.path("absent"), "x").fails("no such file or directory|does not exist")
    os.mkdir(c.path("empty"))
    c.rt("create", "-b", c.path("empty"), "x").fails("config.json")
    open(c.path("file"), "w", encoding="ascii").close()
    c.rt("create", "-b", c.path("file"), "x").fails()


def refuse(c, text, box=None):
    """This text as config.json must be refused by create within a second or two."""
    box = box or c.bundle(["true"])
    box.write_text(text)
    done = c.rt("create", "--bundle", box.path, box.id).fails()
    h.true(done.seconds < 5, "took %g s" % done.seconds)
    h.lacks("goroutine", done.err)
    return done


@h.test("text that is no JSON object")
def _(c):
    box = c.bundle(["true"])
    for text in ("", " ", "null", "[]", "1", '"x"', "{", "}", "{]", '{"a":}', "{}", "{'a':1}",
                 '{"a":1,}', "\x00", b"\xff\xfe{}", "nul", "tru", '{"ociVersion":"1.0.2"',
                 '{"ociVersion": "1.0.2"} x', "/* */ {}"):
        refuse(c, text, box)


@h.test("deep nesting and a huge file are refused quickly")
def _(c):
    refuse(c, "[" * 200000)
    refuse(c, '{"a":' * 100000 + "1" + "}" * 100000)
    refuse(c, '{"x":' + "[" * 5000 + "]" * 5000 + "}")
    refuse(c, '{"a":"' + "x" * (17 << 20) + '"}')


@h.test("invalid UTF-8, NUL, bad escapes and lone surrogates are refused")
def _(c):
    h.only_ours("others pass them on")
    good = json.dumps(with_change(c, lambda cfg: cfg.update(hostname="MARK")))
    for bad in (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\\u0000", b"\\ud800", b"\\x41",
                b"\x01"):
        refuse(c, good.encode().replace(b"MARK", bad))


@h.test("duplicate keys are refused")
def _(c):
    h.only_ours("others take the last")
    good = json.dumps(with_change(c, lambda cfg: cfg.update(hostname="MARK")))
    refuse(c, good.replace('"hostname": "MARK"', '"hostname": "a", "hostname": "b"'))


def with_change(c, change):
    config = copy.deepcopy(BASE)
    config["process"]["args"] = ["true"]
    config["linux"]["cgroupsPath"] = "/bad-%d" % os.getpid()
    change(config)
    return config


# path in the config -> values that it must refuse
WRONG = [
    ("ociVersion", [None, 1, "", "x", "2.0.0", "1.0", "01.0.0", "1.0.2.3"]),
    ("root", [None, {}, [], "rootfs", {"path": ""}, {"path": 5}, {"path": "absent"},
              {"path": "rootfs", "readonly": "yes"}]),
    ("process.args", [[], None, "true", [1], [""], ["a", None]]),
    ("process.cwd", [None, "", "x", 1]),
    ("process.env", ["PATH=/bin", [1], [None], {"A": "b"}]),
    ("process.user", [[], "root", {"uid": -1, "gid": 0}, {"uid": 1 << 32, "gid": 0},
                      {"uid": "0", "gid": 0}, {"uid": 0, "gid": 1.5},
                      {"uid": 0, "gid": 0, "additionalGids": [-1]},
                      {"uid": 0, "gid": 0, "additionalGids": 5},
                      {"uid": 4294967295, "gid": 0}, {"uid": 0, "gid": 4294967295}]),
    ("process.rlimits", [{}, [{}], [{"type": "RLIMIT_NOFILE"}],
                         [{"type": "RLIMIT_NOFILE", "hard": -1, "soft": 1}],
                         [{"type": "RLIMIT_NOFILE", "hard": "1", "soft": 1}]]),
    ("process.capabilities", [[], {"bounding": "CAP_KILL"}, {"effective": [1]}]),
    ("process.terminal", ["true", 1]),
    ("process.oomScoreAdj", [1.5, "1", 5000, -5000]),
    ("mounts", [{}, [None], [{}], [{"destination": ""}],
                [{"destination": "/x", "options": "ro"}],
                [{"destination": "/x", "type": "bind", "source": 5, "options": ["bind"]}]]),
    ("hostname", [5, ["x"], "x" * 65]),
    ("linux.namespaces", [{}, [None], [{}], [{"type": 5}], [{"type": "pid", "path": 5}]]),
    ("linux.uidMappings", [[{"containerID": 0, "hostID": 0, "size": 1}], {}, [{}]]),
    ("linux.devices", [{}, [{}], [{"type": "c", "path": "/dev/x"}],
                       [{"type": "x", "path": "/dev/x", "major": 1, "minor": 3}],
                       [{"type": "c", "path": "dev/x", "major": 1, "minor": 3}],
                       [{"type": "c", "path": "/dev/x", "major": -1, "minor": 3}],
                       [{"type": "c", "path": "/dev/x", "major": 1, "minor": 3,
                         "fileMode": "666"}]]),
    ("linux.resources", [[], {"devices": {}}, {"devices": [{"allow": "yes"}]},
                         {"devices": [{"allow": True, "type": "z", "access": "r"}]},
                         {"devices": [{"allow": True, "type": "c", "access": "x"}]},
                         {"pids": {"limit": "5"}}, {"memory": {"limit": 1.5}},
                         {"unified": {"a.b": 5}}, {"unified": []}]),
    ("linux.cgroupsPath", [5, "/../x", "a/../../b"]),
    ("linux.seccomp", [[], {}, {"defaultAction": 5}, {"defaultAction": "ALLOW"},
                       {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": {}},
                       {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                           {"names": "mkdir", "action": "SCMP_ACT_ERRNO"}]}]),
    ("linux.maskedPaths", ["x", [5], {}]),
    ("linux.readonlyPaths", ["x", [5]]),
    ("linux.rootfsPropagation", ["pink", 5]),
    ("linux.sysctl", [[], {"net.x": 5}, {"kernel.core_pattern": "x"}]),
    ("hooks", [[], {"prestart": {}}, {"prestart": [{}]}, {"prestart": [{"path": "x"}]},
               {"prestart": [{"path": "/bin/true", "timeout": "1"}]}]),
    ("annotations", [[], {"a": 1}, {"": "x"}]),
]


def set_path(config, path, value):
    *parents, last = path.split(".")
    for name in parents:
        config = config[name]
    config[last] = value


def refusals(path, values):
    @h.test("config: wrong values of " + path)
    def _(c):
        h.only_ours("others accept some")
        box = c.bundle(["true"])
        for value in values:
            config = with_change(c, lambda cfg, v=value: set_path(cfg, path, v))
            box.write_text(json.dumps(config))
            done = c.rt("create", "--bundle", box.path, box.id)
            if done.status == 0:
                c.rt("delete", "-f", box.id)
                h.fail("%s = %s was accepted" % (path, json.dumps(value)))
            done.fails()
            h.has(path.split(".")[-1], done.err, "message for %s" % json.dumps(value))


for _path, _values in WRONG:
    refusals(_path, _values)


@h.test("null stands for unset in optional members")
def _(c):
    h.only_ours("others differ")

    def change(config):
        config["hooks"] = None
        config["annotations"] = None
        config["linux"]["seccomp"] = None
        config["process"]["rlimits"] = None
        config["linux"]["resources"]["memory"] = None
    c.run(c.bundle(["true"], change)).ok()


@h.test("unknown members are ignored everywhere (runtime-spec)")
def _(c):
    def change(config):
        for part in (config, config["process"], config["linux"], config["root"],
                     config["mounts"][0], config["linux"]["resources"]):
            part["org.example.unknown"] = {"x": [1, None, "y"]}
    c.run(c.bundle(["true"], change)).ok()


@h.test("a member whose name is nearly one of the specification's is warned of, with the right one")
def _(c):
    h.only_ours("others say nothing")

    def edit(config):
        config["Hostname"] = "x"
        config["linux"]["resource"] = {}
        del config["linux"]["resources"]
        config["mounts"][1]["option"] = ["ro"]
        del config["mounts"][1]["options"]
    err = c.run(c.bundle(["true"], edit)).ok().err
    for words in (r'Hostname: .*there is \\"hostname\\"', r'linux\.resource: .*\\"resources\\"',
                  r'config\.json:\d+:\d+: mounts\[1\]\.option: .*\\"options\\"'):
        h.match(words, err)
    h.eq(3, err.count("level=warning"), err)
    box = c.up(c.sleeper())
    with open(c.path("process"), "w", encoding="utf-8") as file:
        json.dump({"cwd": "/", "args": ["true"], "Env": ["PATH=/bin"]}, file)
    h.has("process.Env", c.rt("exec", "--process", c.path("process"), box.id).err)
    with open(c.path("limits"), "w", encoding="utf-8") as file:
        json.dump({"Pids": {"limit": 5}}, file)
    h.has("linux.resources.Pids", c.rt("update", "-r", c.path("limits"), box.id).ok().err)


@h.test("an error in the config carries the path and the place")
def _(c):
    h.only_ours("our messages")
    box = c.bundle(["true"])
    text = json.dumps(with_change(c, lambda cfg: cfg["mounts"].insert(0, {
        "destination": 7})), indent=1)
    line = text[:text.index("7")].count("\n") + 1
    done = refuse(c, text, box)
    h.match(r"mounts\[0\]\.destination", done.err)
    h.match(r":%d:\d+" % line, done.err)


@h.test("mounts that cannot be made say what is wrong, and with which entry")
def _(c):
    h.only_ours("the words are ours")
    place = r"mounts\[%d\].*" % len(BASE["mounts"])
    etc = {"destination": "/data", "source": "/etc"}
    for entry, words in (
            (bind("/no/such/dir", "/data"), "/no/such/dir.*does not exist on the host: No such file"),
            (bind("/etc/passwd/x", "/data"), "does not exist on the host: Not a directory"),
            (mount("/data", "nosuchfs", "x"), "this kernel has no file system of type nosuchfs"),
            (dict(etc, type="bind", options=["rbnd"]), '"rbnd" is neither'),
            (dict(etc, type="none", options=["ro", "Bind"]), '"Bind" is neither'),
            (dict(etc, type="rbind"), "if its options have bind or rbind"),
            (dict(etc, options=["rbindd"]), '"rbindd" is neither')):
        c.run(c.bundle(["true"], lambda cfg, e=entry: cfg["mounts"].append(e))).fails(place + words)
    c.run(c.bundle(["true"], lambda cfg: cfg["root"].update(path="gone"))).fails(
        "root.path.*does not exist on the host")
    done = c.run(c.bundle(["true"], lambda cfg: cfg["mounts"].append(bind("/etc", "/data", "nosiud"))))
    h.has('there is \\"nosuid\\"', done.ok().err)


@h.test("a program on a noexec mount, or a rootfs on one, says so")
def _(c):
    h.only_ours("the words are ours")
    box = c.bundle(["true"])
    for args in (["/data/true"], ["true"]):
        def edit(config):
            config["mounts"].append(bind(box.file("bin"), "/data", "noexec"))
            config["process"]["env"] = ["PATH=/data"]
        c.run(c.bundle(args, edit)).fails("mounted noexec: permission denied")
    isolation.mount(box.rootfs, box.rootfs, None, isolation.MS_BIND)
    c.undo.append(lambda: isolation.umount(box.rootfs))
    isolation.mount("none", box.rootfs, None, 4096 | 32 | 8)  # remount bind noexec
    c.run(box).fails("mounted noexec: permission denied")


@h.test("a config.json that is a folder, a fifo or unreadable")
def _(c):
    box = c.bundle(["true"])
    path = os.path.join(box.path, "config.json")
    os.unlink(path)
    os.mkdir(path)
    c.rt("create", "-b", box.path, box.id, timeout=10).fails()
    os.rmdir(path)
    if h.is_ours():
        os.mkfifo(path)
        c.rt("create", "-b", box.path, box.id, timeout=10).fails()


@h.test("a state root that cannot be made, or is a file")
def _(c):
    box = c.bundle(["true"])
    open(c.path("file"), "w", encoding="ascii").close()
    argv = h.runtime() + ["--root", c.path("file"), "create", "-b", box.path, box.id]
    c.command(argv).fails()


@h.test("exec: bad values of --user, --cap, --env, --cwd")
def _(c):
    h.only_ours("others accept some")
    box = c.up(c.sleeper())
    for options in (["-u", "-1"], ["-u", "4294967296"], ["-u", "1x"], ["-u", " 1"], ["-u", ""],
                    ["-u", "root"], ["-u", "1:"], ["-u", ":2"], ["-u", "1:2:3"],
                    ["-u", "4294967295"], ["--env", "NOEQUALS"], ["--cwd", "relative"],
                    ["--preserve-fds", "x"], ["-g", "x"]):
        c.exec(box, "true", options=options).fails(status=255)
    h.eq("1\n2\n", c.exec(box, "sh", "-c", "id -u; id -g", options=["-u", "1:2"]).ok().out)


@h.test("no option's error says that it is config.json's")
def _(c):
    h.only_ours("the words")
    box = c.bundle(["true"])
    for args in (["create", "--preserve-fds", "7"], ["run", "--preserve-fds", "7"]):
        err = c.rt(*args, "-b", box.path, box.id).fails("--preserve-fds").err
        h.lacks("config.json", err)
    env = dict(os.environ, LISTEN_FDS="3")
    argv = ["sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", *h.runtime(), "--root", c.root, "run", "-b",
            box.path, box.id]
    h.lacks("config.json", c.command(argv, env=env).fails("LISTEN_FDS").err)
    no_bus = dict(os.environ, DBUS_SYSTEM_BUS_ADDRESS="unix:path=/nonexistent")
    h.lacks("config.json:1:1", c.rt("run", "-b", box.path, box.id, env=no_bus,
                                    options=["--systemd-cgroup"]).fails().err)


@h.test("a fifo in the place of a file keeps nobody waiting")
def _(c):
    h.only_ours("the words")
    box = c.up(c.sleeper())
    fifo = c.path("fifo")
    os.mkfifo(fifo)
    other = c.bundle(["true"])
    for args in (["exec", "--process", fifo, box.id], ["update", "--resources", fifo, box.id],
                 ["run", "-b", other.path, "--config", fifo, other.id],
                 ["mounts", "add", box.id, fifo]):
        c.rt(*args, timeout=5).fails("not a regular file")
    c.rt("spec", "--file", fifo, timeout=5).fails("ENXIO")
    keeper = os.open(fifo, os.O_RDWR)  # a writer that says nothing
    c.rt("exec", "--process", fifo, box.id, timeout=5).fails("not a regular file")
    c.rt("update", "--resources", fifo, box.id, timeout=5).fails("not a regular file")
    c.rt("run", "-b", other.path, "--config", fifo, other.id, timeout=5).fails("not a regular file")
    os.close(keeper)


@h.test("--process and --resources take a pipe of the caller's own")
def _(c):
    box = c.up(c.sleeper())
    process = json.dumps(dict(box.config["process"], args=["echo", "piped"]))
    h.eq("piped\n", c.rt("exec", "--process", "/dev/stdin", box.id, stdin=process).ok().out)


@h.test("fifos in the state directory keep nobody waiting")
def _(c):
    h.only_ours("the files of the state directory are ours")
    box = c.up(c.sleeper())
    for name in ("config.json", "state.json"):
        path = os.path.join(c.root, box.id, name)
        os.rename(path, path + ".kept")
        os.mkfifo(path, 0o600)
        for args in (["exec", box.id, "true"], ["start", box.id]) + \
                ((["state", box.id], ["kill", box.id]) if name == "state.json" else ()):
            c.rt(*args, timeout=5).fails()
        c.rt("list", timeout=5)
        os.rename(path + ".kept", path)
    c.rt("kill", box.id, "KILL").ok()
    c.wait_stopped(box)
    os.mkfifo(os.path.join(c.root, box.id, "exit.json"), 0o600)
    c.rt("wait", box.id, timeout=5).fails()


if __name__ == "__main__":
    h.main()
