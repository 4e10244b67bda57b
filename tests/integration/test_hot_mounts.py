#!/usr/bin/env python3
"""mounts: what is mounted in a running container, adding to it and taking away."""
import json
import os
import subprocess

import bundle
import harness as h


def folder(c, name="extra", text="token-7"):
    path = c.path(name)
    os.mkdir(path)
    os.chmod(path, 0o755)
    with open(os.path.join(path, "file"), "w", encoding="utf-8") as file:
        file.write(text + "\n")
    return path


def change(c, what, box, *mounts):
    return c.rt("mounts", what, box.id, "-", stdin=json.dumps(list(mounts)))


def bind(source, destination, *options):
    return {"destination": destination, "type": "bind", "source": source,
            "options": ["rbind", *options]}


def entries(c, box):
    return json.loads(c.rt("mounts", "list", "--format", "json", box.id).ok().out)


@h.test("mounts add: a bind mount appears in the running container, remove takes it away")
def _(c):
    h.only_ours("only coracle has mounts list")
    box = c.up(c.sleeper())
    source = folder(c)
    change(c, "add", box, bind(source, "/new/place")).ok()
    h.eq("token-7\n", c.exec(box, "cat", "/new/place/file").ok().out)
    h.eq(1, len([e for e in entries(c, box) if e["destination"] == "/new/place"]))
    change(c, "remove", box, {"destination": "/new/place"}).ok()
    c.exec(box, "cat", "/new/place/file").fails()
    h.eq([], [e for e in entries(c, box) if e["destination"] == "/new/place"])
    h.true(os.path.exists(os.path.join(source, "file")), "the host's folder")


@h.test("mounts add: read-only, a file, a tmpfs and several at a time; removed as a whole")
def _(c):
    h.only_ours("only coracle has mounts list")
    box = c.up(c.sleeper())
    source = folder(c)
    mounts = [bind(source, "/m/ro", "ro"), bind(source + "/file", "/m/file"),
              {"destination": "/m/tmp", "type": "tmpfs", "source": "tmpfs",
               "options": ["nosuid", "size=64k"]},
              bind(source, "/m/tmp/inside")]
    change(c, "add", box, *mounts).ok()
    out = c.exec(box, "sh", "-c", "echo x > /m/ro/x; cat /m/file /m/tmp/inside/file; "
                 "echo y > /m/tmp/y && cat /m/tmp/y; df -k /m/tmp | tail -1").ok()
    h.has("Read-only", out.err)
    h.eq(["token-7", "token-7", "y"], out.out.split("\n")[:3])
    h.has(" 64 ", out.out)
    by_place = {e["destination"]: e for e in entries(c, box)}
    h.has("ro", by_place["/m/ro"]["options"])
    h.eq("tmpfs", by_place["/m/tmp"]["type"])
    change(c, "remove", box, *[{"destination": m["destination"]} for m in mounts]).ok()
    h.eq([], [e for e in entries(c, box) if e["destination"].startswith("/m/")])
    table = c.rt("mounts", "list", box.id).ok().out
    h.match(r"^DESTINATION +TYPE +SOURCE +OPTIONS$", table)
    h.match(r"^/proc +proc +proc +", table)


@h.test("mounts add in a user namespace: what the host has read-only the container cannot open up")
def _(c):
    h.only_ours("only coracle has mounts list")
    box = c.up(c.sleeper(bundle.user_namespace))
    open_folder, closed = folder(c, "open"), folder(c, "closed")
    for path in (open_folder, closed):
        os.chmod(path, 0o777)
    subprocess.run(["mount", "--bind", closed, closed], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", closed], check=True)
        change(c, "add", box, bind(open_folder, "/tmp"), bind(closed, "/root")).ok()
        tries = "; ".join("mount -o remount,rw,bind %s; echo x > %s/x" % (place, place)
                          for place in ("/tmp", "/root"))
        out = c.exec(box, "sh", "-c", "cat /root/file; " + tries,
                     options=["--cap", "CAP_SYS_ADMIN"])
    finally:
        subprocess.run(["umount", "-l", closed], check=True)
    h.has("token-7", out.out)
    h.has("Read-only", out.err)
    h.eq((True, False), (os.path.exists(open_folder + "/x"), os.path.exists(closed + "/x")))


@h.test("mounts add finds its place inside the container's root, whatever links there are")
def _(c):
    h.only_ours("only coracle has mounts list")
    box = c.sleeper()
    os.symlink("/../../../../../../../" + c.path("outside"), os.path.join(box.rootfs, "link"))
    os.mkdir(c.path("outside"))
    c.up(box)
    change(c, "add", box, bind(folder(c), "/link/deep")).ok()
    h.eq([], os.listdir(c.path("outside")))
    with open("/proc/self/mountinfo", encoding="utf-8") as table:
        h.lacks("/link/deep", table.read())


@h.test("mounts add: bad input says the place and leaves the container as it was")
def _(c):
    h.only_ours("only coracle has mounts list")
    box = c.up(c.sleeper())
    before = entries(c, box)
    change(c, "add", box, bind("/no/such/source", "/x")).fails(r"mounts\[0\].*no such file")
    change(c, "add", box, bind("/", "/proc/self")).fails(r"stdin:1:\d+: mounts\[0\]\.destination")
    change(c, "add", box, {"destination": "/x", "options": ["bind"]}).fails(r"mounts\[0\]\.source")
    change(c, "remove", box, {"destination": "/etc"}).fails("/etc|umount|not a mount")
    c.rt("mounts", "add", box.id, "-", stdin="{}").fails("stdin")
    c.rt("mounts", "add", box.id, c.path("none.json")).fails("none.json")
    c.rt("mounts", "add", box.id).fails("expected ID and FILE")
    c.rt("mounts", "show", box.id).fails("expected list, add or remove")
    c.rt("mounts", "list", "nobody").fails("container does not exist")
    h.eq(before, entries(c, box))


@h.test("mounts of a stopped container are refused; a paused one can be given some")
def _(c):
    h.only_ours("only coracle has mounts list")
    box = c.up(c.sleeper())
    c.rt("pause", box.id).ok()
    change(c, "add", box, bind(folder(c), "/late")).ok()
    c.rt("resume", box.id).ok()
    h.eq("token-7\n", c.exec(box, "cat", "/late/file").ok().out)
    c.kill(box, "KILL")
    c.wait_stopped(box)
    change(c, "add", box, bind("/", "/x")).fails("container not running")
    c.rt("mounts", "list", box.id).fails("container not running")


if __name__ == "__main__":
    h.main()
