#!/usr/bin/env python3
"""Published vulnerabilities that turn on a path exchanged while a container is being made: 2000
creates (RACE_ROUNDS) against attackers that swap names without a pause. A race passes only if
containers came up with each variant of the swapped path, so one that never raced fails."""
import os
import shutil

import harness as h
from bundle import bind, mount
from canary import Canary
from races import ROUNDS, Seen, Swaps, Tally, mountinfo, reporter
from terminal import ConsoleSocket, read_until


class Volume:
    """A folder that attackers share with the containers: "dir" is a real folder, "climb" and
    "absolute" are links to the canary, which is on the host. In each image there is a decoy at the
    canary's path: where the links lead if they are resolved inside, as they must be."""

    def __init__(self, c):
        self.canary = Canary(c.path("canary"))
        self.path, self.data = c.path("volume"), c.path("data")
        os.makedirs(os.path.join(self.path, "dir"))
        os.makedirs(self.data)
        for name in ("dir/file", "../data/token"):
            with open(os.path.join(self.path, name), "w", encoding="ascii") as file:
                file.write("volume " + name + "\n")
        os.symlink("../" * 12 + self.canary.path[1:], os.path.join(self.path, "climb"))
        os.symlink(self.canary.path, os.path.join(self.path, "absolute"))
        self.real = os.open(os.path.join(self.path, "dir"), os.O_RDONLY | os.O_DIRECTORY)
        self.reads = ["cat:/volume/%s/file" % n for n in ("dir", "climb", "absolute")]

    def attacker(self):
        return Swaps(self.path, "dir", "climb", "absolute")

    def decoy(self, box):
        os.makedirs(box.file(self.canary.path[1:]))
        box.put(self.canary.path[1:] + "/file", "decoy\n")
        return os.open(box.file(self.canary.path[1:]), os.O_RDONLY | os.O_DIRECTORY)

    def where(self, seen, source):
        """Which variant of the target the mounts of `source` went to."""
        found = set()
        for point in seen.points(source):
            if point.startswith("/volume/"):
                found.add("folder")
            elif point.startswith(self.canary.path + "/") or point == self.canary.path:
                found.add("link")
            else:
                h.fail("a mount at %s: %s" % (point, seen.text))
        h.true(found, "a mount went out of the container: " + seen.text)
        return found


def clear(folder, *keep):
    """Empties an open folder."""
    for name in os.listdir(folder):
        if name in keep:
            continue
        try:
            os.unlink(name, dir_fd=folder)
        except IsADirectoryError:
            shutil.rmtree(name, dir_fd=folder)


def round_of(c, box, tally):
    """One container; its report, or None if it was refused."""
    done = c.run(box)
    if done.status:
        tally.refused(done)
        return None
    seen = Seen(done.out)
    h.true(seen.whole, "no whole report: " + done.words())
    h.lacks("canary ", done.out.replace(c.path("canary"), ""))
    return seen


@h.test("CVE-2021-30465: a mount target that is now a folder, now a link to the host")
def _(c):
    volume, tally = Volume(c), Tally(ROUNDS)
    box = reporter(c, ["mounts:", *volume.reads, "cat:%s/file" % volume.canary.path], lambda cfg: (
        cfg["mounts"].extend([bind(volume.path, "/volume"), bind(volume.data, "/volume/dir"),
                              mount("/volume/dir/sub", "tmpfs", "race-tmpfs")])))
    os.close(volume.decoy(box))
    os.makedirs(box.file(volume.canary.path[1:], "sub"))
    os.mkdir("sub", dir_fd=volume.real)
    os.mkdir(c.path("data", "sub"))
    before = mountinfo()
    with volume.attacker() as attacker:
        for number in range(ROUNDS):
            seen = round_of(c, box, tally)
            if seen:
                for what in volume.where(seen, "/data"):
                    tally.add(what)
            if number % 100 == 0:
                volume.canary.check()
    h.eq(before, mountinfo())
    volume.canary.check()
    os.close(volume.real)
    tally.judge([attacker], "folder", "link")


@h.test("CVE-2024-45310: missing mount targets below a name that is now a folder, now a link")
def _(c):
    volume, tally = Volume(c), Tally(ROUNDS)
    parent = set(os.listdir(c.scratch))
    box = reporter(c, ["mounts:", *volume.reads], lambda cfg: cfg["mounts"].extend(
        [bind(volume.path, "/volume"), bind(volume.data, "/volume/dir/missing/deeper"),
         bind(volume.data + "/token", "/volume/dir/new-file")]))
    decoy = volume.decoy(box)
    with volume.attacker() as attacker:
        for number in range(ROUNDS):
            seen = round_of(c, box, tally)
            if seen:
                h.eq(2, len(seen.points("/data") + seen.points("/data/token")))
                for what in volume.where(seen, "/data"):
                    tally.add("directory in " + what)
                for what in volume.where(seen, "/data/token"):
                    tally.add("file in " + what)
            clear(volume.real, "file")
            clear(decoy, "file")
            if number % 100 == 0:
                volume.canary.check()
    volume.canary.check()
    h.eq(parent | {"bundle-" + box.id, "state"}, set(os.listdir(c.scratch)) | {"state"})
    os.close(decoy)
    os.close(volume.real)
    tally.judge([attacker], *("%s in %s" % (kind, place) for kind in ("directory", "file")
                              for place in ("folder", "link")))


# ---- writes to procfs ------------------------------------------------------------------------

SYSCTLS = ("kernel/core_pattern", "kernel/panic", "net/ipv4/ip_forward")


def sysctls():
    out = {}
    for name in SYSCTLS:
        with open("/proc/sys/" + name, encoding="ascii") as file:
            out[name] = file.read()
    return out


@h.test("CVE-2025-52881: a sysctl is written while two containers mount over /proc by a swapped name")
def _(c):
    before, rounds = sysctls(), (ROUNDS + 1) // 2
    os.makedirs(c.path("volume", "dir"))
    os.symlink("/proc/sys/net/ipv4", c.path("volume", "link"))
    with open(c.path("fake"), "w", encoding="ascii") as file:
        file.write("fake\n")
    real = os.open(c.path("volume", "dir"), os.O_RDONLY | os.O_DIRECTORY)

    def edit(config):
        config["linux"]["sysctl"] = {"net.ipv4.ip_forward": "1", "kernel.shmmax": "65536"}
        config["mounts"].extend([bind(c.path("volume"), "/volume"),
                                 bind(c.path("fake"), "/volume/dir/ip_forward")])
    boxes = [reporter(c, ["mounts:", "cat:/proc/sys/net/ipv4/ip_forward",
                          "cat:/proc/sys/kernel/shmmax"], edit) for _ in range(2)]
    tally = Tally(rounds * 2)
    with Swaps(c.path("volume"), "dir", "link") as attacker:
        for number in range(rounds):
            for done in c.run_together(boxes):
                if done.status:
                    tally.refused(done)
                    continue
                seen = Seen(done.out)
                h.true(seen.whole, done.words())
                h.eq([], [p for p in seen.points("/fake") if not p.startswith("/volume/")])
                h.eq("1|", seen.lines["cat /proc/sys/net/ipv4/ip_forward"])
                h.eq("65536|", seen.lines["cat /proc/sys/kernel/shmmax"])
                tally.add("right")
            if number % 2:  # missing now, there the next time
                clear(real)
    os.close(real)
    h.eq(before, sysctls())
    tally.judge([attacker], "right", "refused")


# ---- masks, devices, the terminal ------------------------------------------------------------

def wrong_masks(seen, folders, files):
    """What is wrong with the masked paths."""
    out = []
    for path in folders:
        if seen.lines["kind " + path] != "dir empty" or seen.lines["create %s/x" % path] != "EROFS":
            out.append(path)
    return out + [path for path in files if seen.lines["cat " + path] != ""]


@h.test("CVE-2025-31133: /dev/null, a masked folder and a read-only one are swapped during create")
def _(c):
    tally = Tally(ROUNDS)
    for name in ("dev", "v/dir", "v/other"):
        os.makedirs(c.path(name))
    for name in ("dev/text", "v/dir/secret", "v/other/secret"):
        with open(c.path(name), "w", encoding="ascii") as file:
            file.write("leaked\n")
    os.symlink("/leak", c.path("dev", "link"))
    os.mknod(c.path("dev", "null"), 0o20666, os.makedev(1, 3))
    for name in ("link", "link2"):
        os.symlink("/elsewhere", c.path("v", name))

    def edit(config):
        config["mounts"] = [m for m in config["mounts"] if not m["destination"].startswith("/dev")]
        config["mounts"].extend([bind(c.path("dev"), "/dev"), bind(c.path("v"), "/v")])
        config["linux"]["maskedPaths"] = ["/v/dir", "/secret", "/folder", "/proc/timer_list"]
        config["linux"]["readonlyPaths"] = ["/v/other", "/still", "/proc/sys"]
    box = reporter(c, ["mounts:", "cat:/secret", "cat:/proc/timer_list", "kind:/folder",
                       "create:/folder/x", "create:/still/x", "write:/proc/sys/kernel/panic"], edit)
    for name in ("leak", "secret", "folder/secret", "elsewhere/secret", "still/file"):
        box.put(name, "leaked\n")
    with Swaps(c.path("dev"), "null", "link", "text") as null, \
            Swaps(c.path("v"), "dir", "link", "--", "other", "link2") as volume:
        for _ in range(ROUNDS):
            done = c.run(box)
            if done.status:
                tally.refused(done)
            else:
                check_masks(Seen(done.out), tally)
    tally.judge([null, volume], "mask on folder", "mask on link's end",
                "read-only folder", "read-only link's end")


def check_masks(seen, tally):
    h.true(seen.whole, "no whole report: " + seen.text)
    h.lacks("leaked", seen.text)
    h.eq([], wrong_masks(seen, ["/folder"], ["/secret", "/proc/timer_list"]), seen.text)
    h.eq(["EROFS"] * 2, [seen.lines["create /still/x"],
                         seen.lines["write /proc/sys/kernel/panic"]])
    masks = [(point, options) for root, point, kind, options in seen.mounts
             if (root, kind) == ("/", "tmpfs") and (point == "/elsewhere" or point in ("/v/dir", "/v/link"))]
    h.eq(1, len(masks), seen.text)
    h.true("ro" in masks[0][1].split(","), seen.text)
    tally.add("mask on link's end" if masks[0][0] == "/elsewhere" else "mask on folder")
    one_read_only(seen, tally)


def one_read_only(seen, tally):
    """The names change while the report is made, but the folder keeps to two of them: what lies
    there must be itself, not what a second look-up found at the other end of the link."""
    names = ("/v/other", "/v/link2")
    found = [(root, point, options) for root, point, _, options in seen.mounts
             if root != "/" and (point == "/elsewhere" or point in names)]
    h.eq(1, len(found), seen.text)
    root, point, options = found[0]
    h.true("ro" in options.split(","), seen.text)
    h.true(root.endswith("/elsewhere") if point == "/elsewhere" else root.endswith(names), seen.text)
    tally.add("read-only link's end" if point == "/elsewhere" else "read-only folder")


@h.test("CVE-2025-52565: /dev/console and /dev/pts are swapped while a terminal is made")
def _(c):
    tally, canary = Tally(ROUNDS), Canary(c.path("canary"))
    os.makedirs(c.path("dev", "pts"))
    open(c.path("dev", "console"), "w", encoding="ascii").close()
    os.symlink("/proc/sys/kernel/panic", c.path("dev", "link"))
    os.symlink("../" * 12 + canary.path[1:], c.path("dev", "climb"))

    def edit(config):
        config["mounts"] = [m for m in config["mounts"] if m["destination"] not in (
            "/dev", "/dev/shm", "/dev/mqueue")]
        config["mounts"].insert(1, bind(c.path("dev"), "/dev"))
    box = reporter(c, ["mounts:", "write:/proc/sys/kernel/panic", "write:/proc/sys/kernel/core_pattern"],
                   edit, terminal=True)
    box.put(canary.path[1:] + "/sub/file", "decoy\n")
    console = ConsoleSocket(c.path("console"))
    with Swaps(c.path("dev"), "console", "link", "--", "pts", "climb") as attacker:
        for number in range(ROUNDS):
            one_terminal(c, box, console, tally)
            if number % 100 == 0:
                canary.check()
    canary.check()
    console.close()
    tally.judge([attacker], "terminal", "refused")


def one_terminal(c, box, console, tally):
    done = c.rt("run", "--detach", "--console-socket", console.path, "-b", box.path, box.id)
    if done.status:
        tally.refused(done)
        console.forget()
        return
    master, _ = console.accept()
    text = read_until(master, "reported\n")
    os.close(master)
    c.delete(box, "--force").ok()
    seen = Seen(text)
    h.eq(["EROFS"] * 2, [seen.lines["write /proc/sys/kernel/panic"],
                         seen.lines["write /proc/sys/kernel/core_pattern"]])
    ptys = [(root, point) for root, point, kind, _ in seen.mounts if kind == "devpts"]
    bound = [point for root, point in ptys if root != "/"]
    h.true(len(bound) == 1 and bound[0] in ("/dev/console", "/dev/link"), text)
    tally.add("terminal")


def nodes(folder):
    return [name for name in ("null", "zero", "tty", "ptmx", "fd") if name in os.listdir(folder)]


@h.test("CVE-2026-41579, CVE-2026-47766: /dev of the image is now a folder, now a link to the host")
def _(c):
    tally, canary = Tally(ROUNDS), Canary(c.path("canary"))

    def edit(config):
        config["mounts"] = [m for m in config["mounts"] if not m["destination"].startswith("/dev")]
        config["linux"]["devices"] = [{"type": "c", "path": "/dev/more/fuse", "major": 10,
                                       "minor": 229, "fileMode": 0o666, "uid": 5, "gid": 5}]
    box = reporter(c, ["mounts:"], edit)
    os.makedirs(box.file(canary.path[1:]))
    os.symlink("../" * 12 + canary.path[1:], box.file("climb"))
    os.symlink(canary.path, box.file("absolute"))
    real, decoy = (os.open(box.file(name), os.O_RDONLY) for name in ("dev", canary.path[1:]))
    with Swaps(box.rootfs, "dev", "climb", "absolute") as attacker:
        for number in range(ROUNDS):
            done = c.run(box)
            if done.status:
                tally.refused(done)
            else:
                h.true(Seen(done.out).whole, done.words())
                h.true(nodes(real) + nodes(decoy), "no device anywhere")
                tally.add("folder" if nodes(real) else "link")
            clear(real)
            clear(decoy)
            if number % 100 == 0:
                canary.check()
    canary.check()
    os.close(real)
    os.close(decoy)
    tally.judge([attacker], "folder", "link")


if __name__ == "__main__":
    h.main()
