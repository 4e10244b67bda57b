#!/usr/bin/env python3
"""README.md's own lines, as somebody types them who reads it for the first time."""
import os
import re

import harness as h


def block(title):
    """The commands that README.md shows below the line `title`."""
    top = os.environ.get("CORACLE_SOURCE") or os.path.dirname(os.path.dirname(os.path.dirname(
        os.path.abspath(__file__))))
    with open(os.path.join(top, "README.md"), encoding="utf-8") as file:
        text = file.read()
    lines = h.match(r"^%s\n\n((?: {4}.*\n)+)" % re.escape(title), text).group(1).splitlines()
    return [line.strip() for line in lines]


@h.test("by hand: spec, plan and run, typed on a terminal")
def _(c):
    h.only_ours("README.md names coracle")
    os.makedirs(c.path("build"))
    os.symlink(os.path.dirname(os.path.abspath(h.runtime()[0])), c.path("build/runtime"))
    lines = block("By hand:")
    h.has("ninja -C build", lines[0])  # that was done
    master, slave = os.openpty()
    os.write(master, b"echo typed $((40+2)); exit 7\n")
    done = c.command(["sh", "-ec", "\n".join(lines[1:])], stdin_file=slave,
                     env=dict(os.environ, XDG_RUNTIME_DIR=c.path("run")))
    os.close(slave)
    os.close(master)
    h.eq(7, done.status, done.words())
    h.has("typed 42", done.out)
    h.has("pivot", done.out, "plan")


if __name__ == "__main__":
    h.main()
