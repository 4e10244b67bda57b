#!/usr/bin/env python3
"""Completion for bash, zsh and fish: the shells take it, and it knows what there is."""
import os
import re
import shutil
import subprocess

import harness as h

SHELLS = ("bash", "zsh", "fish")


def known(c):
    """{command: [options]} as the help texts have them; "" for the options before a command."""
    def options(text):
        return re.findall(r"^ +(?:-\w, )?--([\w-]+)", text.split("OPTIONS:")[-1], re.M)
    text = c.rt("--help").ok().out
    names = re.findall(r"^  ([a-z]+) ", text.split("COMMANDS:")[1].split("GLOBAL")[0], re.M)
    h.true(len(names) > 20, "commands in %r" % names)
    return {"": options(text), **{n: options(c.rt(n, "--help").ok().out) for n in names}}


def script(c, shell):
    path = c.path("completion." + shell)
    with open(path, "w", encoding="utf-8") as file:
        file.write(c.rt("completion", shell).ok().out)
    return path


def shell(name, *args, **more):
    if not shutil.which(name):
        h.skip(name + " is not installed")
    done = subprocess.run([name, *args], capture_output=True, text=True, check=False, **more)
    h.eq((0, ""), (done.returncode, done.stderr), name)
    return done.stdout


@h.test("an unknown shell is refused")
def _(c):
    h.only_ours("our command")
    c.rt("completion", "perl").fails("bash, zsh or fish", status=1)
    c.rt("completion").fails("missing argument")


@h.test("every command and every option is in each of them")
def _(c):
    h.only_ours("our command")
    for name in SHELLS:
        with open(script(c, name), encoding="utf-8") as file:
            text = file.read()
        for command, options in known(c).items():
            h.match(r"\b%s\b" % command, text, name)
            for option in options:
                h.match((r"-l %s\b" if name == "fish" else r"--%s\b") % option, text, name)


@h.test("the manual explains every command and every option of --help, each in its place")
def _(c):
    h.only_ours("our command")
    text = c.rt("help", "--format=scdoc").ok().out.replace("\\", "")
    parts = re.split(r"^## coracle ", text, flags=re.M)
    sections = {"": parts[0], **{part.split()[0]: part for part in parts[1:]}}
    commands = known(c)
    h.eq(sorted(commands), sorted(sections))
    for command, options in commands.items():
        for option in options:
            if option != "help" or not command:
                h.has("*--%s*" % option, sections[command], command)


for _shell in SHELLS:
    @h.test("%s takes it" % _shell)
    def _(c, _name=_shell):
        h.only_ours("our command")
        shell(_name, "-n", script(c, _name))


def in_path(c):
    os.makedirs(c.path("bin"))
    os.symlink(os.path.abspath(h.runtime()[0]), c.path("bin/coracle"))
    return {**os.environ, "PATH": c.path("bin") + ":" + os.environ["PATH"]}


@h.test("bash: commands, options, containers, and words that are known")
def _(c):
    h.only_ours("our command")
    env, path, box = in_path(c), script(c, "bash"), c.up(c.sleeper())

    def complete(*words):
        return shell("bash", "-c", "source %s; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($#-1)); _coracle; "
                     "printf '%%s\\n' \"${COMPREPLY[@]}\"" % path, "sh", *words, env=env).split()
    h.eq(["kill"], complete("coracle", "ki"))
    h.eq(["--regex"], complete("coracle", "kill", "--r"))
    h.eq(["--root", "--rootless"], sorted(complete("coracle", "--roo")))
    h.eq([box.id], complete("coracle", "--root", c.root, "kill", box.id[:2]))
    h.eq(["--bundle"], complete("coracle", "--root", "/x", "--debug", "run", "--b"))
    h.eq(["zsh"], complete("coracle", "completion", "z"))
    h.eq(["kill"], complete("coracle", "help", "ki"))
    h.eq([], complete("coracle", "create", box.id[:2]))


@h.test("fish: the same")
def _(c):
    h.only_ours("our command")
    env, path = in_path(c), script(c, "fish")

    def complete(line):
        out = shell("fish", "--no-config", "-c", "source %s; complete -C '%s'" % (path, line), env=env)
        return sorted(row.split("\t")[0] for row in out.splitlines())
    h.eq(["kill"], complete("coracle ki"))
    h.eq(["--regex"], complete("coracle kill --r"))
    h.eq(["zsh"], complete("coracle completion z"))


@h.test("zsh: the function is defined and ends without a word outside of a completion")
def _(c):
    h.only_ours("our command")
    path = script(c, "zsh")
    out = shell("zsh", "-f", "-c", "autoload -Uz compinit; compinit -D; "
                "eval \"$(sed '$d' %s)\"; whence -w _coracle" % path)
    h.eq("_coracle: function\n", out)


if __name__ == "__main__":
    h.main()
