"""Names that are exchanged in a tight loop while a runtime makes containers (swapper.cc)."""
import os
import re
import shutil
import signal
import subprocess

import harness as h
import rootfs

HERE = os.path.dirname(os.path.abspath(__file__))
# Each round is a whole container. A build with sanitizers is an order of magnitude slower.
ROUNDS = int(os.environ.get("RACE_ROUNDS", "200" if os.environ.get("CORACLE_SANITIZED") else
                            "2000"))


def swapper():
    path = os.environ.get("SWAPPER")
    if path:
        return path
    target = os.path.join(rootfs.tools_folder(), ".swapper")
    if not os.path.exists(target):
        subprocess.run(["c++", "-std=c++20", "-D_GNU_SOURCE", "-O2", "-static",
                        os.path.join(HERE, "swapper.cc"), "-o", target], check=True)
    return target


class Swaps:
    """An attacker: `name` in `folder` is each of `others` in turn; "--" begins another name and
    its others. For `with`."""

    def __init__(self, folder, name, *others):
        self.argv = [swapper(), "swap", folder, name, *others]
        self.swaps = 0

    def __enter__(self):
        self.child = subprocess.Popen(self.argv, stdout=subprocess.PIPE, text=True)
        h.eq("up\n", self.child.stdout.readline())
        return self

    def __exit__(self, *_):
        self.child.send_signal(signal.SIGTERM)
        words = self.child.communicate(timeout=10)[0]
        self.swaps = int(re.search(r"swaps=(\d+)", words).group(1))


def reporter(c, operations, edit=None, **process):
    """A bundle whose program reports what it sees."""
    box = c.bundle(["/bin/swapper", "report", *operations], edit, **process)
    shutil.copy(swapper(), box.file("bin/swapper"))
    return box


class Seen:
    """One report: mounts as (root, point, type, options), the other lines by "word path"."""

    def __init__(self, text):
        self.text, self.mounts, self.lines = text, [], {}
        for line in text.splitlines():
            fields = line.split(" ")
            if fields[0] == "mount" and len(fields) == 5:
                self.mounts.append(tuple(fields[1:]))
            elif len(fields) > 2:
                self.lines[" ".join(fields[:2])] = " ".join(fields[2:])
        self.whole = text.endswith("reported\n")

    def points(self, root_ends):
        """Mount points of what has this end as its root."""
        return [point for root, point, _, _ in self.mounts if root.endswith(root_ends)]


class Tally:
    """Counts outcomes; a race in which one side never happened has not raced."""

    def __init__(self, rounds):
        self.rounds, self.counts, self.errors = rounds, {}, {}

    def add(self, what):
        self.counts[what] = self.counts.get(what, 0) + 1

    def refused(self, done):
        """A create that failed: it must say why, and it counts by its words."""
        done.fails()
        self.add("refused")
        words = re.sub(r"\d+|/\S+", "", done.err.strip().splitlines()[-1])
        self.errors[words] = self.errors.get(words, 0) + 1

    def words(self):
        return "%d rounds: %s %s" % (self.rounds, self.counts, self.errors)

    def judge(self, attackers, *wanted, least=1):
        """Each of `wanted` must have happened, and at least one swap a round on average."""
        if os.environ.get("RACE_WORDS"):
            print("# %s, %s swaps" % (self.words(), [a.swaps for a in attackers]))
        for what in wanted:
            h.true(self.counts.get(what, 0) >= least, "never %r in %s" % (what, self.words()))
        for attacker in attackers:
            h.true(attacker.swaps > self.rounds, "only %d swaps" % attacker.swaps)


def mountinfo():
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
        return file.read()
