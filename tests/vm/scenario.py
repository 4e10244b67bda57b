"""What a scenario is: a function that drives an engine with one runtime, inside the guest.

    @scenario("podman", "the status of the command is podman's")
    def _(t):                       # t: a Trial, one for each scenario and runtime
        t.podman("run --rm --network none IMAGE sh -c 'exit 7'").status_is(7)

IMAGE, RUNTIME (its name), BINARY (its path) and PROBE are replaced in commands. A scenario fails by
Failure, is left out by Skip. It must ask only for what any runtime can do.
"""
import os
import re
import signal
import subprocess
import time

IMAGE = "localhost/busybox"
DATA = "/usr/local/lib/coracle-vm"
PROBE = DATA + "/probe"  # the integration tests' static helper
ROOTFS = "/usr/local/share/coracle-vm/rootfs"
# The machine is emulated, and its host may be busy: every limit is multiplied by this.
PATIENCE = float(os.environ.get("CORACLE_VM_PATIENCE", "3"))
_scenarios = []


class Failure(Exception):
    """What was wanted and what came."""


class Skip(Exception):
    """The reason why this cannot be tried."""


class Scenario:
    def __init__(self, group, name, function, only):
        self.group, self.name, self.function, self.only = group, name, function, only
        self.title = "%s: %s" % (group, name)


def scenario(group, name, only=None):
    """Registers a scenario; `only`: a tuple of runtimes that it is about (default: every one)."""
    def register(function):
        _scenarios.append(Scenario(group, name, function, only))
        return function
    return register


def registered():
    return list(_scenarios)


class Result:
    """What a command gave: status (negative: killed by a signal), out, err."""

    def __init__(self, command, status, out, err):
        self.command, self.status, self.out, self.err = command, status, out, err

    @property
    def text(self):
        return self.out + self.err

    def fail(self, words):
        raise Failure("%s\n$ %s\nstatus %s\n%s" % (words, self.command, self.status, self.text))

    def status_is(self, *wanted):
        if self.status not in wanted:
            self.fail("the status should be %s" % " or ".join(map(str, wanted)))
        return self

    def ok(self):
        return self.status_is(0)

    def prints(self, text):
        """Standard output is this text, but for space at its ends."""
        self.ok()
        if self.out.strip() != text.strip():
            self.fail("should print %r" % text)
        return self

    def has(self, *patterns):
        """Each regular expression is found in what was printed."""
        for pattern in patterns:
            if not re.search(pattern, self.text, re.M):
                self.fail("%r is not in what was printed" % pattern)
        return self

    def lacks(self, pattern):
        if re.search(pattern, self.text, re.M):
            self.fail("%r should not be printed" % pattern)
        return self

    def line(self, number=-1):
        lines = self.out.strip().splitlines()
        return lines[number] if lines else ""


class Trial:
    """One scenario with one runtime. `shared` lives as long as the run of that runtime."""

    _count = 0

    def __init__(self, name, path, shared):
        self.runtime, self.path, self.shared = name, path, shared
        self.manager = "systemd"  # Podman's --cgroup-manager; a scenario may change it
        self.undo = []
        self.said = []  # (what, status and last line): shown beside what the peers said

    def heard(self, what, result):
        """Notes how a failure was worded, without what differs from run to run."""
        lines = [line for line in result.err.strip().splitlines() if line.strip()]
        text = re.sub(r"[0-9a-f]{64}|%s" % re.escape(self.path), "X", lines[-1] if lines else "")
        self.said.append("%s: %s: %s" % (what, result.status, text))
        return result

    # --- commands

    def words(self, command):
        for word, value in (("IMAGE", IMAGE), ("RUNTIME", self.runtime), ("BINARY", self.path),
                            ("PROBE", PROBE)):
            command = re.sub(r"\b%s\b" % word, value, command)
        return command

    def sh(self, command, stdin="", timeout=120):
        """Runs a shell command; its output goes through pipes that end with the command."""
        timeout *= PATIENCE
        command = self.words(command)
        child = subprocess.Popen(["bash", "-c", command], stdin=subprocess.PIPE, text=True,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                 errors="replace", start_new_session=True)
        try:
            out, err = child.communicate(stdin, timeout)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            out, err = child.communicate()
            Result(command, "none, killed after %d s" % timeout, out, err).fail("took too long")
        return Result(command, child.returncode, out, err)

    def podman(self, command, **more):
        return self.sh("podman %s %s" % (self.podman_options(), command), **more)

    def podman_options(self):
        return "--runtime RUNTIME --cgroup-manager %s" % self.manager

    def docker(self, command, **more):
        return self.sh("docker " + command, **more)

    def finally_sh(self, command):
        """A command for the scenario's end, whatever happens; its failure is not looked at."""
        self.undo.append(command)

    def finally_do(self, function):
        """The same with a function."""
        self.undo.append(function)

    def clean_up(self):
        for undo in reversed(self.undo):
            try:
                undo() if callable(undo) else self.sh(undo)
            except Exception:  # the next scenario shows if it matters
                continue

    def name(self, stem="c"):
        """A container name that nothing else has."""
        Trial._count += 1
        return "%s%s%d" % (stem, self.runtime, Trial._count)

    # --- waiting

    def until(self, command, pattern, seconds=60):
        """Repeats a command until it prints the pattern."""
        end = time.monotonic() + seconds * PATIENCE
        while True:
            result = self.sh(command)
            if re.search(pattern, result.text, re.M):
                return result
            if time.monotonic() > end:
                result.fail("%r did not come in %d s" % (pattern, seconds))
            time.sleep(0.3)


def fail(words):
    raise Failure(words)


def equal(wanted, got, what):
    if wanted != got:
        fail("%s: wanted %r, got %r" % (what, wanted, got))


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read().strip()


def fetch(host):
    """A shell command for the busybox container, quoted: gets http://HOST/i. Its wget and its
    resolver by the C library do not work: a static glibc has no name services without files."""
    return ("\"printf 'GET /i HTTP/1.0\\r\\n\\r\\n' | nc \\$(nslookup -type=a %s | awk "
            "'/^Address/ { a = \\$2 } END { print a }') 80\"" % host)
