#!/usr/bin/env python3
"""What `meson install` puts for the shells is found and used by them: each is started interactively
on a terminal with only its own start-up, as a user has it, and gets a line and the Tab key.

usage: completion.py BUILD-DIRECTORY
"""
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time

import install
import source

BASH_COMPLETION = "/usr/share/bash-completion/bash_completion"
# A line to complete, and words that must be offered for it, none of which stand in the line.
LINES = (
    ("coracle upd", ["update"]),
    ("coracle --log-format ", ["text", "json"]),
    ("coracle --log-level=d", ["debug"]),
    ("coracle --cgroup-manager ", ["cgroupfs", "systemd", "disabled"]),
    ("coracle list --for", ["--format"]),
    ("coracle list --format ", ["table", "json"]),
    ("coracle --log-format json wait --format ", ["text"]),
    ("coracle spec --bundle fol", ["folder"]),
    ("coracle update --resources lim", ["limits.json"]),
)
START = {  # what a distribution's own start-up files do
    "bash": (["--norc", "--noprofile", "-i"], "PS1='> '; bind 'set bell-style none'; "
             "bind 'set show-all-if-ambiguous on'; . " + BASH_COMPLETION),
    "zsh": (["-f", "-i"], "PS1='> '; unsetopt beep; fpath=($SHARE/zsh/site-functions $fpath); "
            "autoload -Uz compinit; compinit -D"),
    "fish": (["--interactive"], "function fish_prompt; printf '> '; end"),
}


def environment(shell, folder, prefix):
    share = folder + prefix + "/share"
    return {"PATH": "%s%s/bin:%s" % (folder, prefix, os.environ["PATH"]), "HOME": folder,
            "TERM": "dumb" if shell == "bash" else "vt100", "LC_ALL": "C.UTF-8", "SHARE": share,
            "XDG_DATA_DIRS": share + ":/usr/share", "COLUMNS": "200", "INPUTRC": "/dev/null"}


class Session:
    """One shell on a terminal of its own."""

    def __init__(self, shell, env, cwd):
        argv, setup = START[shell]
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            os.execvpe(shell, [shell] + argv, env)
        self.text = ""
        self.type(setup + "; echo set-''up\n")
        self.until(lambda text: "set-up" in text)

    def type(self, text):
        os.write(self.fd, text.encode())

    def until(self, condition, seconds=10.0):
        """Reads until `condition` holds for what has come; whether it did."""
        end = time.monotonic() + seconds
        while not condition(self.text):
            if not select.select([self.fd], [], [], max(0, end - time.monotonic()))[0]:
                return False
            try:
                self.text += os.read(self.fd, 65536).decode(errors="replace")
            except OSError:
                return condition(self.text)
        return True

    def close(self):
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


def plain(text):
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|[\r\x07\x08]", "", text)


def missing(shell, folder, prefix, line, words):
    """Those of `words` that the shell does not offer for the line."""
    session = Session(shell, environment(shell, folder, prefix), folder)
    try:
        session.text = ""
        session.type(line)
        session.until(lambda text: line[-3:].strip() in plain(text))
        session.text = ""
        session.type("\t\t")
        found = session.until(lambda text: all(offered(word, line, text) for word in words), 5.0)
        return [] if found else ["%s: %r offers %r" % (shell, line, plain(session.text)[-300:])]
    finally:
        session.close()


def offered(word, line, text):
    """The word, or what the shell adds to the part of it that stands in the line already."""
    part = re.split(r"[ =]", line)[-1]
    rest = word[len(part):] if part and word.startswith(part) else word
    return rest in plain(text)


def check(shell, folder, prefix):
    return [words for line, want in LINES for words in missing(shell, folder, prefix, line, want)]


def remove(folder):
    """What a shell left running (fish reads manual pages) may still make files there."""
    for _ in range(100):
        shutil.rmtree(folder, ignore_errors=True)
        if not os.path.exists(folder):
            return
        time.sleep(0.1)
    raise RuntimeError("%s cannot be removed" % folder)


def main():
    folder = tempfile.mkdtemp(prefix="completion-")
    try:
        look(folder)
    finally:
        remove(folder)


def look(folder):
    tap = source.Tap()
    prefix = install.options_of(sys.argv[1])["prefix"]
    os.mkdir(folder + "/folder")
    subprocess.run(["touch", folder + "/limits.json"], check=True)
    if shutil.which("bash"):
        tap.add("self-test: what is not installed is not offered",
                [] if missing("bash", folder, prefix, *LINES[0]) else ["it is offered"])
    tap.add("meson install", install.installed(sys.argv[1], folder))
    for shell in START:
        if not shutil.which(shell) or shell == "bash" and not os.path.exists(BASH_COMPLETION):
            tap.skip(shell, "it or its completion is not installed")
            continue
        tap.add("%s finds what is installed, and offers commands, options and values" % shell,
                check(shell, folder, prefix))
    tap.finish()


if __name__ == "__main__":
    main()
