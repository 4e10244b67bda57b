#!/usr/bin/env python3
"""maskedPaths and readonlyPaths."""
import os

import harness as h
from bundle import MANY_CAPS, bind, cap_sets


@h.test("a masked file reads empty, a masked directory is empty and read-only")
def _(c):
    def edit(config):
        config["linux"]["maskedPaths"] += ["/secret", "/dir"]
    box = c.bundle(["sh", "-c", "cat /secret; wc -c < /secret; ls -A /dir | wc -l; "
                                "touch /dir/x || echo refused; cat /dir/f || echo gone"], edit)
    box.put("secret", "of the host\n")
    box.put("dir/f", "of the host\n")
    h.eq("0\n0\nrefused\ngone\n", c.run(box).ok().out)
    with open(box.file("secret"), encoding="ascii") as file:
        h.eq("of the host\n", file.read())


@h.test("the default masks hide the kernel's files")
def _(c):
    out = c.check_output(["sh", "-c", "for f in /proc/kcore /proc/keys /proc/timer_list; do "
                          "[ -e $f ] && head -c 1 $f | wc -c; done; ls -A /sys/firmware | wc -l"])
    h.true(set(out.split()) == {"0"}, out)


@h.test("missing masked and read-only paths are skipped, doubles are harmless")
def _(c):
    def edit(config):
        config["linux"]["maskedPaths"] += ["/no/such", "/etc/passwd", "/etc/passwd"]
        config["linux"]["readonlyPaths"] += ["/no/such", "/var", "/var"]
    h.eq("0\n", c.check_output(["sh", "-c", "wc -c < /etc/passwd"], edit))


@h.test("read-only paths refuse writing and still show what is mounted below")
def _(c):
    os.makedirs(c.path("d"))
    open(c.path("d", "seen"), "w", encoding="ascii").close()

    def edit(config):
        config["mounts"].append(bind(c.path("d"), "/var/d"))
        config["linux"]["readonlyPaths"] += ["/var"]
    box = c.bundle(["sh", "-c", "touch /var/x || echo refused; ls /var/d; "
                                "touch /tmp/x && echo elsewhere"], edit)
    box.put("var/file", "x")
    h.eq("refused\nseen\nelsewhere\n", c.run(box).ok().out)


@h.test("/proc/sys cannot be written, even with capabilities")
def _(c):
    out = c.check_output(["sh", "-c", "echo x > /proc/sys/kernel/domainname || echo refused; "
                          "echo h > /proc/sysrq-trigger || echo refused"],
                         capabilities=cap_sets(MANY_CAPS))
    h.eq("refused\nrefused\n", out)


@h.test("a read-only path keeps nosuid, noexec and nodev of its mount")
def _(c):
    out = c.check_output(["sh", "-c", "grep ' /proc/sys ' /proc/self/mountinfo"],
                         lambda cfg: cfg["mounts"].__setitem__(0, {
                             "destination": "/proc", "type": "proc", "source": "proc",
                             "options": ["nosuid", "noexec", "nodev"]}))
    options = set(out.split()[5].split(","))
    h.true({"ro", "nosuid", "noexec", "nodev"} <= options, out)


@h.test("masks cannot be taken off by the container")
def _(c):
    def edit(config):
        config["linux"]["maskedPaths"] += ["/secret"]
    box = c.bundle(["sh", "-c", "umount /secret; cat /secret; echo end"], edit)
    box.put("secret", "seen\n")
    h.eq("end\n", c.run(box).ok().out)


@h.test("exec sees the same masks")
def _(c):
    def edit(config):
        config["linux"]["maskedPaths"] += ["/secret"]
    box = c.sleeper(edit=edit)
    box.put("secret", "seen\n")
    c.up(box)
    h.eq("end\n", c.exec(box, "sh", "-c", "cat /secret; echo end").ok().out)


@h.test("relative masked or read-only paths are refused")
def _(c):
    h.only_ours("others take them as they come")
    for key in ("maskedPaths", "readonlyPaths"):
        c.run(c.bundle(["true"], lambda cfg, k=key: cfg["linux"][k].append("etc"))).fails(key)


@h.test("masked directories share one mount's memory")
def _(c):
    h.only_ours("one tmpfs for all (performance)")

    def edit(config):
        config["linux"]["maskedPaths"] = ["/d%d" % i for i in range(8)]
    box = c.bundle(["sh", "-c", "grep ' /d[0-9] ' /proc/self/mountinfo | cut -d' ' -f3 | sort -u "
                                "| wc -l"], edit)
    for i in range(8):
        os.mkdir(box.file("d%d" % i))
    h.eq("1\n", c.run(box).ok().out)


if __name__ == "__main__":
    h.main()
