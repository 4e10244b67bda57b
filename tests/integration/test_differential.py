#!/usr/bin/env python3
"""Random bundles, run by this runtime and by another one: what the container sees is the same. The
seed is printed; RANDOM_SEED=N takes N, RANDOM_ROUNDS=N goes on to
N seeds."""
import os
import random

import harness as h
from bundle import bind, mount

FIRST = int(os.environ.get("RANDOM_SEED") or 1)
ROUNDS = int(os.environ.get("RANDOM_ROUNDS") or 3)

PAIRS = (("ro", "rw"), ("nosuid", "suid"), ("nodev", "dev"), ("noexec", "exec"),
         ("nodiratime", "diratime"))
# One of these at most: with several, runc collects bits, of which the kernel then takes the one
# that it looks at first; here the last one counts.
ATIME = ("noatime", "relatime", "strictatime", "atime", "norelatime", "nostrictatime")
SUPER = ("sync", "async", "dirsync", "lazytime", "nolazytime", "mand", "nomand", "iversion",
         "noiversion", "silent", "loud", "acl", "noacl")
PROPAGATION = ("shared", "rshared", "slave", "rslave", "private", "rprivate", "unbindable",
               "runbindable")
CAPABILITIES = ["CAP_" + name for name in
                ("CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP "
                 "NET_BIND_SERVICE NET_RAW SYS_CHROOT SYS_PTRACE MKNOD AUDIT_WRITE SETFCAP").split()]


def rounds():
    for seed in range(FIRST, FIRST + ROUNDS):
        print("# RANDOM_SEED=%d" % seed, flush=True)
        yield seed, random.Random(seed)


def by(c, name, box):
    """What the container prints when the runtime `name` runs it."""
    return c.command([name, "--root", c.path("state-" + name), "run", "--bundle", box.path,
                      box.id + "-" + name]).ok(name).out


def mounts_of(text, folder):
    """Of each mount below `folder`: its options, its propagation, and its superblock's options."""
    found = {}
    for line in text.splitlines():
        left, right = line.split(" - ")
        fields = left.split()
        if fields[4].startswith(folder):
            kinds = sorted(field.split(":")[0] for field in fields[6:])
            above = sorted(o for o in right.split()[2].split(",") if o in SUPER)
            found[fields[4]] = (sorted(fields[5].split(",")), kinds, above)
    return found


# One of a pair: runc sets what both name, whatever the order; here the last one counts.
def recursive(r):
    return ["r" + r.choice(pair) for pair in PAIRS if r.random() < 0.2]


def random_options(r, kinds):
    options = [r.choice(ATIME)] if r.random() < 0.6 else []
    for pair in PAIRS:
        options += r.choices(pair, k=r.choice((0, 0, 1, 1, 2)))
    for names in kinds:
        options += r.sample(names, r.randrange(3))
    r.shuffle(options)
    return options


def compare(c, name, config_mounts, seed, target="/m"):
    def edit(config):
        config["mounts"] += config_mounts
    box = c.bundle(["cat", "/proc/self/mountinfo"], edit)
    theirs, ours = by(c, name, box), c.run(box).ok().out
    theirs, ours = mounts_of(theirs, target), mounts_of(ours, target)
    for one in config_mounts:
        where = one["destination"]
        h.eq(theirs[where], ours[where], "seed %d, %s" % (seed, one))


@h.test("random options of new file systems: the mounts are runc's", needs=["runc"])
def _(c):
    h.only_ours("it is compared with runc")
    for seed, r in rounds():
        entries = [mount("/m%d" % i, "tmpfs", "tmpfs", *random_options(r, [SUPER]))
                   for i in range(20)]
        compare(c, "runc", entries, seed)


@h.test("random options of bind mounts: the mounts are runc's", needs=["runc"])
def _(c):
    h.only_ours("it is compared with runc")
    source = c.path("source")
    os.mkdir(source)
    for seed, r in rounds():
        entries = []
        for i in range(20):
            entries.append(bind(source, "/m%d" % i, "bind",
                                *recursive(r),
                                *random_options(r, [PROPAGATION])))
        compare(c, "runc", entries, seed)


@h.test("random capabilities: the sets are runc's", needs=["runc"])
def _(c):
    h.only_ours("it is compared with runc")
    for seed, r in rounds():
        def some(names):
            return r.sample(names, r.randrange(len(names) + 1))
        sets = {"bounding": some(CAPABILITIES)}
        sets["permitted"] = some(sets["bounding"])
        sets["effective"] = some(sets["permitted"])
        sets["inheritable"] = some(sets["permitted"])
        sets["ambient"] = some(sets["inheritable"])

        def edit(config):
            config["process"]["capabilities"] = sets
            config["process"]["user"] = {"uid": r.choice((0, 1000)), "gid": 0}
        box = c.bundle(["grep", "^Cap", "/proc/self/status"], edit)
        h.eq(by(c, "runc", box), c.run(box).ok().out, "seed %d, %s" % (seed, sets))


if __name__ == "__main__":
    h.main()
