"""The harness of the integration tests: a TAP program of functions that drive a built runtime.

A test file looks like this:

    import harness as h

    @h.test("start runs what create prepared")
    def _(c):                                   # c: a Case, fresh for every test
        box = c.bundle(["echo", "hello"])
        c.create(box)
        c.start(box)
        c.wait_stopped(box)
        h.eq("hello\\n", c.output(box))

    if __name__ == "__main__":
        h.main()

The runtime is $RUNTIME, else $CORACLE, else build/runtime/coracle; RUNTIME=runc checks the tests
themselves against another runtime. Each test runs in a child with private mount, network, ipc
and cgroup namespaces, below a cgroup of its own; see isolation.py. After each test nothing may
be left: no process, cgroup, mount, or file of the state root, and /dev/null must be untouched.
A test that leaves something fails, and what it left is removed.
"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

import isolation
import rootfs
from bundle import Bundle

TIMEOUT = float(os.environ.get("CORACLE_TEST_TIMEOUT", "20"))  # s, one command of the runtime
_tests = []


class Skip(Exception):
    """Ends a test as skipped; the text is the reason."""


class Failure(AssertionError):
    """Ends a test as failed; the text says what was wanted and what came."""


def test(name, *, needs=()):
    """Registers a test. `needs`: names of requirements (requirements.py) that skip it if unmet."""
    def register(function):
        _tests.append((name, function, needs))
        return function
    return register


def skip(reason):
    raise Skip(reason)


def fail(words):
    raise Failure(words)


def eq(want, got, what=""):
    if want != got:
        fail("%swanted %r, got %r" % (what + ": " if what else "", want, got))


def true(condition, what):
    if not condition:
        fail(what)


def has(part, text, what=""):
    if part not in text:
        fail("%s%r is not in %r" % (what + ": " if what else "", part, text))


def lacks(part, text, what=""):
    if part in text:
        fail("%s%r is in %r" % (what + ": " if what else "", part, text))


def match(pattern, text, what=""):
    found = re.search(pattern, text, re.M)
    if not found:
        fail("%s%r does not match %r" % (what + ": " if what else "", pattern, text))
    return found


def own_cgroup(text):
    """The cgroup2 line of /proc/PID/cgroup; a hybrid machine has others too."""
    return [line[3:] for line in text.splitlines() if line.startswith("0::")][0]


def until(condition, what, seconds=5.0):
    """Polls until condition() is true; returns its value. `what`: words, or a function for them."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            fail("%s did not happen within %g s" % (what() if callable(what) else what, seconds))
        time.sleep(0.01)


def runtime():
    """argv prefix of the runtime under test."""
    chosen = os.environ.get("RUNTIME") or os.environ.get("CORACLE")
    if not chosen:
        top = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        chosen = os.path.join(top, "build", "runtime", "coracle")
    return chosen.split()


def is_ours():
    return "coracle" in os.path.basename(runtime()[0])


def only_ours(why):
    """Skips with another runtime: the test is about a promise that only coracle makes."""
    if not is_ours():
        skip("other runtimes differ: " + why)


def without_noise(err):
    """stderr without what ASan says, in a sanitized build, about children on stacks of their own."""
    if not os.environ.get("CORACLE_SANITIZED"):
        return err
    return re.sub(r"==\d+==WARNING: ASan is ignoring requested __asan_handle_no_return.*\n"
                  r"False positive .*\nFor details .*\n", "", err)


class Result:
    """The outcome of one command: argv, status, out, err."""

    def __init__(self, argv, status, out, err, seconds):
        self.argv, self.status, self.out, self.err = argv, status, out, without_noise(err)
        self.seconds = seconds

    def words(self):
        return "%s\n  status %s\n  stdout %r\n  stderr %r" % (
            " ".join(map(str, self.argv)), self.status, self.out[-1500:], self.err[-1500:])

    def ok(self, what=""):
        """Fails the test unless the command succeeded; returns self."""
        if self.status != 0:
            fail("%sfailed: %s" % (what + " " if what else "", self.words()))
        return self

    def fails(self, pattern=None, status=None):
        """The command must fail by itself (not by a signal) and say why on stderr."""
        if self.status == 0:
            fail("succeeded but should have failed: " + self.words())
        if self.status < 0 or self.status in (134, 139):
            fail("ended by a signal: " + self.words())
        if status is not None and self.status != status:
            fail("wanted status %d: %s" % (status, self.words()))
        if not self.err.strip():
            fail("failed without a word: " + self.words())
        if pattern and not re.search(pattern, self.err, re.I):
            fail("stderr does not match %r: %s" % (pattern, self.words()))
        return self


class Case:
    """What one test works with: a scratch folder, a state root, and the runtime's commands."""

    def __init__(self, scratch):
        self.scratch = scratch
        self.root = os.path.join(scratch, "state")
        self.ids, self.children, self.counter = [], [], 0
        self.undo = []  # functions for the end of the test, the last one first

    # ---- bundles -----------------------------------------------------------------------------

    def path(self, *parts):
        return os.path.join(self.scratch, *parts)

    def bundle(self, args=("true",), edit=None, name=None, **process):
        """A bundle that runs `args` from busybox. `edit(config)` may change config.json;
        keywords go into process (cwd=..., noNewPrivileges=...)."""
        self.counter += 1
        name = name or "c%d-%d" % (os.getpid(), self.counter)
        box = Bundle(self.path("bundle-" + name), name, list(args))
        rootfs.make(box.rootfs)
        box.config["process"].update(process)
        if edit:
            edit(box.config)
        box.write()
        self.ids.append(box.id)
        return box

    def sleeper(self, edit=None, **process):
        """A bundle whose process runs until it is ended and leaves at once on SIGTERM."""
        return self.bundle(["sh", "-c", "trap 'exit 0' TERM; echo up; sleep 1000 & wait"], edit,
                           **process)

    # ---- commands ----------------------------------------------------------------------------

    def rt(self, *args, stdin=None, timeout=TIMEOUT, env=None, cwd=None, options=(), **popen):
        """Runs the runtime with a private --root. Output goes to files, not pipes: a container
        that stays keeps them open."""
        argv = runtime() + ["--root", self.root] + list(options) + [str(a) for a in args]
        return self.command(argv, stdin, timeout, env, cwd, **popen)

    def command(self, argv, stdin=None, timeout=TIMEOUT, env=None, cwd=None, **popen):
        out = tempfile.TemporaryFile(dir=self.scratch)
        err = tempfile.TemporaryFile(dir=self.scratch)
        start = time.monotonic()
        child = subprocess.Popen(argv, stdin=subprocess.PIPE if stdin is not None else
                                 popen.pop("stdin_file", subprocess.DEVNULL), stdout=out,
                                 stderr=err, env=env, cwd=cwd or self.scratch, **popen)
        try:
            child.communicate(stdin.encode() if isinstance(stdin, str) else stdin, timeout)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            fail("did not end within %g s: %s" % (timeout, Result(
                argv, "killed", text_of(out), text_of(err), 0).words()))
        seconds = time.monotonic() - start
        return Result(argv, child.returncode, text_of(out), text_of(err), seconds)

    def background(self, *args, options=(), **popen):
        """Starts the runtime without waiting; the harness ends it with the test."""
        argv = runtime() + ["--root", self.root] + list(options) + [str(a) for a in args]
        for stream in ("stdin", "stdout", "stderr"):
            popen.setdefault(stream, subprocess.DEVNULL)
        child = subprocess.Popen(argv, **popen)
        self.children.append(child)
        return child

    def run(self, box, *options, **keywords):
        """`run` in the foreground. With process.terminal its standard input is a terminal, on which
        nobody types."""
        if not box.config["process"].get("terminal"):
            return self.rt("run", "--bundle", box.path, *options, box.id, **keywords)
        master, slave = os.openpty()
        try:
            return self.rt("run", "--bundle", box.path, *options, box.id, stdin_file=slave,
                           **keywords)
        finally:
            os.close(slave)
            os.close(master)

    def run_together(self, boxes):
        """`run` of several at the same time; their results."""
        started = []
        for box in boxes:
            out, err = (tempfile.TemporaryFile(dir=self.scratch) for _ in range(2))
            argv = runtime() + ["--root", self.root, "run", "--bundle", box.path, box.id]
            started.append((subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out,
                                             stderr=err, cwd=self.scratch), argv, out, err))
        done = []
        for child, argv, out, err in started:
            done.append(Result(argv, child.wait(TIMEOUT), text_of(out), text_of(err), 0))
            out.close()
            err.close()
        return done

    def create(self, box, *options, **keywords):
        """`create`; must succeed. The container's output goes to box.log."""
        return self.try_create(box, *options, **keywords).ok()

    def try_create(self, box, *options, globals_=(), **keywords):
        box.log = self.path("log-" + box.id)
        with open(box.log, "ab") as log, tempfile.TemporaryFile(dir=self.scratch) as err:
            argv = runtime() + ["--root", self.root, *globals_, "create", "--bundle", box.path,
                                *options, box.id]
            start = time.monotonic()
            # stderr goes to the log as well: runtimes differ in whether the container keeps it.
            child = subprocess.Popen(argv, stdin=keywords.pop("stdin", subprocess.DEVNULL),
                                     stdout=log, stderr=err, cwd=self.scratch, **keywords)
            try:
                child.wait(TIMEOUT)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
                fail("create did not end: " + text_of(err))
            return Result(argv, child.returncode, "", text_of(err), time.monotonic() - start)

    def start(self, box):
        return self.rt("start", box.id).ok()

    def up(self, box, *options, **keywords):
        """create, start, and wait until it has printed `up` (see sleeper)."""
        self.create(box, *options, **keywords)
        self.start(box)
        until(lambda: "up\n" in self.output(box), "the container's first line")
        return box

    def exec(self, box, *args, options=(), **keywords):
        return self.rt("exec", *options, box.id, *args, **keywords)

    def state(self, box):
        return json.loads(self.rt("state", box.id).ok().out)

    def status(self, box):
        return self.state(box)["status"]

    def kill(self, box, *args):
        return self.rt("kill", box.id, *args).ok()

    def delete(self, box, *options):
        return self.rt("delete", *options, box.id)

    def wait_status(self, box, status, seconds=5.0):
        until(lambda: self.status(box) == status, "%s to be %s" % (box.id, status), seconds)

    def wait_stopped(self, box, seconds=5.0):
        self.wait_status(box, "stopped", seconds)

    def output(self, box):
        with open(box.log, "rb") as log:
            return log.read().decode(errors="replace")

    def check_output(self, args, edit=None, **process):
        """Runs `args` in a container of its own in the foreground; returns its stdout."""
        box = self.bundle(args, edit, **process)
        return self.run(box).ok().out

    def cgroup(self, box):
        """Folder of the container's cgroup as the harness sees it."""
        return "/sys/fs/cgroup" + box.config["linux"]["cgroupsPath"]

    # ---- the end of a test -------------------------------------------------------------------

    def finish(self):
        """Deletes every container of the test; returns what the runtime said when it could not."""
        words = []
        for child in self.children:
            if child.poll() is None:
                child.kill()
                child.wait()
        for name in self.ids:
            done = self.rt("delete", "--force", name)
            if done.status != 0:
                words.append("delete --force: " + done.words())
        while self.undo:
            self.undo.pop()()
        isolation.reap()
        return words


def text_of(file):
    file.seek(0)
    return file.read().decode(errors="replace")


def _run_one(function):
    """Runs one test; returns (status, words)."""
    scratch = tempfile.mkdtemp(prefix="coracle-test-")
    os.chmod(scratch, 0o755)
    case, before = Case(scratch), isolation.snapshot()
    status, words = "ok", ""
    try:
        function(case)
    except Skip as skipped:
        status, words = "skip", str(skipped)
    except Failure as failure:
        status = "not ok"
        words = str(failure) + "\nat " + _place(failure)
    except Exception:  # a bug of the test or of its helper is a failed test, not the end
        status, words = "not ok", traceback.format_exc()
    try:
        left = case.finish()
    except Failure as failure:
        left = ["delete --force: " + str(failure)]
    left += isolation.leaks(before, case.root)
    if left and status != "not ok":
        status, words = "not ok", "left behind: " + "; ".join(left)
    isolation.clean(before)
    shutil.rmtree(scratch, ignore_errors=True)
    return status, words


def _place(failure):
    frames = [f for f in traceback.extract_tb(failure.__traceback__)
              if os.path.basename(f.filename).startswith("test_")]
    return "%s:%d" % (os.path.basename(frames[-1].filename), frames[-1].lineno) if frames else "?"


def _run_tests(chosen):
    import requirements
    failed = 0
    for number, (name, function, needs) in enumerate(chosen, 1):
        unmet = requirements.unmet(needs)
        status, words = ("skip", unmet) if unmet else _run_one(function)
        if status == "skip":
            print("ok %d - %s # SKIP %s" % (number, name, words.replace("\n", " ")))
        else:
            print("%s %d - %s" % (status, number, name))
        if status == "not ok":
            failed += 1
            print("".join("#   %s\n" % line for line in words.splitlines()), end="")
        sys.stdout.flush()
    return 1 if failed else 0


def _run_and_tidy(chosen):
    try:
        return _run_tests(chosen)
    finally:
        rootfs.discard()


def main():
    """usage: test_x.py [--list] [--with-needs] [PART-OF-A-NAME]...

    --with-needs: only tests that need something of the machine (tests/vm runs those in its own)."""
    parts = [a for a in sys.argv[1:] if not a.startswith("-")]
    chosen = [t for t in _tests if (not parts or any(p in t[0] for p in parts)) and
              (t[2] or "--with-needs" not in sys.argv)]
    if "--list" in sys.argv:
        print("\n".join(t[0] for t in chosen))
        return
    if not shutil.which(runtime()[0]):
        print("1..0 # SKIP the runtime %s is not built" % runtime()[0])
        return
    unable = isolation.unable()
    if unable:
        print("1..0 # SKIP " + unable)
        return
    print("1..%d" % len(chosen), flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(isolation.inside(lambda: _run_and_tidy(chosen)))
