#!/usr/bin/env python3
"""Published vulnerabilities in which an image or a volume leads the runtime to another path than
the one meant; where a name is exchanged meanwhile, see test_swap_races.py. The canary is a folder
of the host that must stay as it is."""
import os

import harness as h
from bundle import bind, mount
from canary import Canary


def no_dev(config):
    config["mounts"] = [m for m in config["mounts"] if not m["destination"].startswith("/dev")]


@h.test("CVE-2019-16884, 19921, 2023-27561, 28642: /proc and /sys of the image as links")
def _(c):
    canary = Canary(c.path("canary"))
    for name in ("proc", "sys"):
        box = c.bundle(["sh", "-c", "echo alive; ls /fake"])
        os.rmdir(box.file(name))
        os.mkdir(box.file("fake"))
        os.symlink("/fake", box.file(name))
        done = c.run(box)
        h.true(done.status != 0, "a link as /%s was accepted" % name)
        if h.is_ours():
            h.has("must be mounted on ordinary directory", done.err)
        h.eq([], os.listdir(box.file("fake")))
        os.unlink(box.file(name))
        os.symlink("../../canary", box.file(name))
        h.true(c.run(box).status != 0, "a climbing link as /%s was accepted" % name)
    canary.check()
    h.eq("alive\n", c.check_output(["echo", "alive"]))


@h.test("CVE-2019-16884: a bind over /proc or into it is refused")
def _(c):
    os.makedirs(c.path("fake", "attr"))
    for place in ("/proc", "/proc/self/attr", "/proc/sys", "/proc/1"):
        box = c.bundle(["sh", "-c", "echo ran"], lambda cfg, p=place: cfg["mounts"].append(
            bind(c.path("fake"), p)))
        done = c.run(box)
        h.true(done.status != 0, "a bind on %s was accepted" % place)
    with open(c.path("cpuinfo"), "w", encoding="ascii") as file:
        file.write("lxcfs\n")
    h.eq("lxcfs\n", c.check_output(["cat", "/proc/cpuinfo"], lambda cfg: cfg["mounts"].append(
        bind(c.path("cpuinfo"), "/proc/cpuinfo"))))


@h.test("CVE-2019-18837: links of the image as mount targets never leave it")
def _(c):
    canary = Canary(c.path("canary"))
    os.mkdir(c.path("data"))
    open(c.path("data", "seen"), "w", encoding="ascii").close()
    absolute = c.path("canary")
    for link in (absolute, "../../../../../../../.." + absolute, "../../canary",
                 "/proc/self/root" + absolute, "/proc/1/root" + absolute):
        box = c.bundle(["sh", "-c", "echo alive"], lambda cfg: cfg["mounts"].extend(
            [bind(c.path("data"), "/link"), mount("/link/sub", "tmpfs", "t")]))
        os.symlink(link, box.file("link"))
        c.run(box)  # inside the image the link may lead anywhere; outside it must not
        canary.check()
    box = c.bundle(["true"], lambda cfg: cfg["mounts"].append(bind(c.path("data"), "/l0")))
    for number in range(50):
        os.symlink("l%d" % (number + 1), box.file("l%d" % number))
    c.run(box)
    canary.check()
    h.eq("alive\n", c.check_output(["echo", "alive"]))


@h.test("CVE-2025-31133: masking does not trust the image's /dev/null")
def _(c):
    for kind in ("link", "file"):
        dev = c.path("dev-" + kind)
        os.mkdir(dev)
        if kind == "link":
            os.symlink("/secret-source", os.path.join(dev, "null"))
        else:
            with open(os.path.join(dev, "null"), "w", encoding="ascii") as file:
                file.write("leaked\n")

        def edit(config, dev=dev):
            no_dev(config)
            config["mounts"].append(bind(dev, "/dev"))
            config["linux"]["maskedPaths"] = ["/secret"]
        box = c.bundle(["sh", "-c", "echo alive; cat /secret"], edit)
        box.put("secret", "secret\n")
        box.put("secret-source", "leaked\n")
        done = c.run(box)
        h.lacks("leaked", done.out)
        h.lacks("secret\n", done.out)
        if h.is_ours():
            h.eq("alive\n", done.ok().out)


@h.test("CVE-2025-52565: /dev/console and /dev/pts/0 as links of the image")
def _(c):
    from terminal import ConsoleSocket, read_until
    canary = Canary(c.path("canary"))

    def edit(config):
        no_dev(config)
        config["linux"]["maskedPaths"] = []
    box = c.bundle(["probe", "tty"], edit, terminal=True)
    for name in ("console", "pts"):
        os.symlink("../../../canary/file" if name == "console" else "../../../canary",
                   box.file("dev", name))
    console = ConsoleSocket(c.path("console"))
    done = c.try_create(box, "--console-socket", console.path)
    if done.status == 0:
        master, _ = console.accept()
        c.start(box)
        h.has("tty=111", read_until(master, "\n"))
        os.close(master)
    canary.check()
    console.close()


@h.test("CVE-2026-41579, CVE-2026-47766: /dev of the image is a link out of it")
def _(c):
    canary = Canary(c.path("canary"))
    for link in (c.path("canary"), "../../canary", "../../../../../../../.." + c.path("canary")):
        box = c.bundle(["sh", "-c", "echo alive"], no_dev)
        os.rmdir(box.file("dev"))
        os.symlink(link, box.file("dev"))
        c.run(box)
        canary.check()
    h.eq("alive\n", c.check_output(["echo", "alive"]))


@h.test("CVE-2025-24965: links of the image for every name that a runtime creates")
def _(c):
    canary = Canary(c.path("canary"))

    def edit(config):
        no_dev(config)
        config["process"]["cwd"] = "/made/cwd"
        config["linux"]["devices"] = [{"type": "c", "path": "/made/dev", "major": 1, "minor": 3}]
    box = c.bundle(["echo", "alive"], edit)
    for name in ("null", "zero", "full", "random", "urandom", "tty", "ptmx", "console", "fd",
                 "stdin", "stdout", "stderr", "core", "shm", "mqueue"):
        os.symlink("../../../canary/" + name, box.file("dev", name))
    os.symlink("../../canary", box.file("made"))
    for name in (".krun_config.json", ".old_root", "dev.null", ".pivot_root"):
        os.symlink("../../canary/" + name, box.file(name))
    c.run(box)
    canary.check()
    h.eq("alive\n", c.check_output(["echo", "alive"]))


if __name__ == "__main__":
    h.main()
