"""checkpoint and restore against tests/unit/fake_criu.cc: how it behaves, and what it was told."""
import os

import harness as h


class FakeCriu:
    """A folder with a `criu` for $PATH. `env(words)` is the environment in which it behaves so."""

    def __init__(self, c):
        build = os.path.dirname(os.path.dirname(os.path.abspath(h.runtime()[0])))
        program = os.environ.get("FAKE_CRIU_PROGRAM",
                                 os.path.join(build, "tests", "unit", "fake-criu"))
        if not os.path.exists(program):
            h.skip("fake-criu is not built")
        self.folder = c.path("fake")
        self.notes = c.path("criu-notes")
        os.mkdir(self.folder)
        os.symlink(program, os.path.join(self.folder, "criu"))

    def env(self, words=""):
        return {"PATH": self.folder + ":" + os.environ["PATH"],
                "FAKE_CRIU": words + " name=" + self.notes}

    def requests(self):
        """Lines "request TYPE FIELD=VALUE..."; forgotten afterwards."""
        if not os.path.exists(self.notes):
            return []
        with open(self.notes, encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
        os.unlink(self.notes)
        return lines

    def options(self, kind):
        """The fields of the one request of this type, as a list of "FIELD=VALUE"."""
        found = [line.split()[2:] for line in self.requests()
                 if line.split()[:2] == ["request", str(kind)]]
        h.eq(1, len(found), "requests of type %d" % kind)
        return found[0]


DUMP, RESTORE, PRE_DUMP = 1, 2, 4
