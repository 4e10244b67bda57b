"""Striking a runtime at its Nth system call, and what must be true afterwards."""
import os
import re
import signal
import subprocess

import harness as h
import isolation
import rootfs

HERE = os.path.dirname(os.path.abspath(__file__))
HANG = 6  # seconds after which a struck command counts as hanging
STRIDE = int(os.environ.get("FAULT_STRIDE") or (40 if os.environ.get("CORACLE_SANITIZED") else 1))


def _compiled(name, variable, *flags):
    path = os.environ.get(variable)
    if path:
        return path
    target = os.path.join(rootfs.tools_folder(), "." + name)
    if not os.path.exists(target):
        subprocess.run(["c++", "-std=c++20", "-D_GNU_SOURCE", "-O2", "-static", *flags,
                        os.path.join(HERE, "../fault", name + ".cc"), "-o", target], check=True)
    return target


def faultstep():
    return _compiled("faultstep", "FAULTSTEP")


def shout():
    return _compiled("shout", "SHOUT", "-nostdlib", "-fno-stack-protector", "-fno-pic", "-no-pie")


class Strike:
    """What one struck command did: report fields, status, out, err, hung."""

    def __init__(self, c, options, args):
        report = c.path("report")
        argv = [faultstep(), *options, "-t", str(HANG), "-o", report, "--", *h.runtime(), "--root", c.root, *args]
        out, err = open(c.path("out"), "w+b"), open(c.path("err"), "w+b")
        with out, err:
            child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                     cwd=c.scratch, start_new_session=True)
            try:
                self.status = child.wait(HANG + 2)
            except subprocess.TimeoutExpired:  # faultstep itself
                os.killpg(child.pid, signal.SIGKILL)
                self.status = child.wait()
            self.out, self.err = h.text_of(out), h.text_of(err)
        self.fields = {}
        if os.path.exists(report):
            with open(report, encoding="ascii") as file:
                self.fields = dict(re.findall(r"(\w+)=(\S+)", file.read()))
            os.unlink(report)

        self.hung = self.fields.get("status", "timeout").startswith("timeout")

    @property
    def calls(self):
        return int(self.fields.get("syscalls", "0"))

    @property
    def struck(self):
        return self.fields.get("hit", "none") != "none"

    def words(self):
        return "%s out=%r err=%r" % (self.fields or self.status,
                                     self.out[-200:], self.err[-300:])


def count(c, args, options=()):
    """How many system calls the command makes when nothing happens to it."""
    strike = Strike(c, ["-C", *options], args)
    if strike.status != 0:
        h.fail("the command fails unharmed: " + strike.words())
    return strike.calls


class Points:
    """Collects the points at which a rule was broken, and judges at the end."""

    def __init__(self, c):
        self.c, self.before, self.bad, self.done = c, isolation.snapshot(), [], 0

    def note(self, number, words):
        self.bad.append("at call %d: %s" % (number, words))

    def cleaned(self, number, box, delete=True):
        """After this point `delete --force` must do its work in time and nothing may be left."""
        self.done += 1
        if delete:
            deleted = self.c.rt("delete", "--force", box.id, timeout=HANG)
            if deleted.status != 0:
                self.note(number, "delete --force: " + deleted.words())
            elif deleted.seconds > 2:
                self.note(number, "delete --force took %.1f s" % deleted.seconds)
        left = isolation.leaks(self.before, self.c.root)
        if left:
            self.note(number, "left behind: " + "; ".join(left))
            isolation.clean(self.before)
            subprocess.run(["rm", "-rf", "--one-file-system", self.c.root], check=True)

    def judge(self, least=5):
        h.true(self.done >= least, "only %d points were tried" % self.done)
        if self.bad:
            h.fail("%d of %d points:\n%s" % (len(self.bad), self.done, "\n".join(self.bad[:25])))
