#!/usr/bin/env python3
"""Scripts can be started as the documents start them: what begins with #! is executable, and every
command of a README or a manual page that names a file of this tree finds it, executable.
tools/install-deps waits for another apt: a stand-in for apt-get plays one that holds the lock."""
import os
import re
import subprocess
import tempfile

import source

DOCUMENTS = re.compile(r"(?:^|/)README\.md$|^man/.*\.scd(?:\.in)?$")
FOLDERS = ("tests/", "tools/", "oci-conformance/", ".ci/")


def not_executable(scripts):
    """`scripts`: (path, first two bytes, whether it may be executed)."""
    return ["%s starts with #! and is not executable" % name
            for name, start, executable in scripts if start == "#!" and not executable]


def called(text):
    """Paths of this tree that stand at the start of a command, in a block or between backquotes."""
    commands = re.findall(r"`([^`\n]+)`", text) + re.findall(r"^ {4}(\S.*)$", text, re.M)
    words = [re.sub(r"^(?:\w+=\S+ +)*", "", command).split(" ")[0] for command in commands]
    return {word for word in words if word.startswith(FOLDERS) and not word.endswith("/")}


def unusable(documents, executable):
    """Commands that a document names; documents themselves (man pages, READMEs) are no commands."""
    return ["%s calls %s, which cannot be executed" % (name, path) for name, text in documents
            for path in sorted(called(text)) if not os.path.splitext(path)[1] in (".md", ".scd")
            and not executable(path)]


def may_execute(path):
    full = os.path.join(source.ROOT, path)
    return os.path.isdir(full) or (os.path.isfile(full) and os.access(full, os.X_OK))


def self_test(tap):
    found = not_executable([("a", "#!", False), ("b", "#!", True), ("c", "//", False)])
    tap.add("self-test: a script that is not executable is found",
            [] if len(found) == 1 and found[0].startswith("a ") else [repr(found)])
    text = "x `tests/run -v` y\n\n    A=1 tools/build --musl\n    cp tests/a b\nin tests/prose\n"
    tap.add("self-test: commands of a document are found",
            [] if called(text) == {"tests/run", "tools/build"} else [repr(called(text))])
    bad = unusable([("README.md", "`tests/none`")], may_execute)
    tap.add("self-test: a command that is not there is found", [] if len(bad) == 1 else [repr(bad)])


APT = """#!/bin/sh
echo "$*" >>calls
[ "$1" = update ] && [ "$(wc -l <calls)" -lt 3 ] || exit 0
echo "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 1 (apt)" >&2
exit 100
"""


def install_deps():
    """Its calls of apt-get, when the lists are locked at the first two, and its exit status."""
    with tempfile.TemporaryDirectory(prefix="scripts-") as folder:
        for name, text in (("apt-get", APT), ("dpkg-query", "#!/bin/sh\n"),
                           ("id", "#!/bin/sh\necho 0\n")):
            path = os.path.join(folder, name)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(path, 0o755)
        with open(os.path.join(folder, "list"), "w", encoding="utf-8") as file:
            file.write("a-package\n")
        done = subprocess.run([os.path.join(source.ROOT, "tools/install-deps"), "list"], cwd=folder,
                              env=dict(os.environ, PATH=folder + ":" + os.environ["PATH"]),
                              capture_output=True, check=False)
        with open(os.path.join(folder, "calls"), encoding="utf-8") as file:
            return file.read().splitlines(), done.returncode


def not_waiting():
    calls, status = install_deps()
    right = status == 0 and calls[:3] == ["update"] * 3 and \
        "DPkg::Lock::Timeout=600" in calls[-1] and calls[-1].endswith(" a-package")
    return [] if right else ["status %d, calls %r" % (status, calls)]


if __name__ == "__main__":
    results = source.Tap()
    self_test(results)
    names = source.tracked()
    results.add("every script is executable", not_executable(
        (name, source.read(name)[:2], may_execute(name)) for name in names
        if not name.startswith(("tests/fuzz/", "subprojects/"))))
    results.add("the documents' commands are executable", unusable(
        [(name, source.read(name)) for name in names if DOCUMENTS.search(name)], may_execute))
    results.add("tools/install-deps waits for the locks of another apt", not_waiting())
    results.finish()
