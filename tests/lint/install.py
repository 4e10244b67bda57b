#!/usr/bin/env python3
"""What `meson install` builds and puts where: the binary, stripped, the shim's link, manual pages,
licences, and the engines' configuration with this installation's path in it, the same that README.md
shows. Nothing of tests/ is built for it.

usage: install.py BUILD-DIRECTORY
"""
import json
import os
import subprocess
import sys
import tempfile
import tomllib

import source

PREFIX = "/usr/local"
EXAMPLES = ("coracle.conf", "daemon.json", "containerd.toml")
LICENCES = ("Apache-2.0", "GCC-exception-3.1", "GPL-3.0", "LGPL-2.1", "README", "RapidJSON", "musl")


def installed(build, folder):
    """Puts the files below `folder`; returns words if that fails."""
    done = subprocess.run(["meson", "install", "--no-rebuild", "-C", build], text=True, check=False,
                          env=dict(os.environ, DESTDIR=folder), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    return [] if done.returncode == 0 else done.stdout.splitlines()[-5:]


def options_of(build):
    done = subprocess.run(["meson", "introspect", "--buildoptions", build], text=True, check=True,
                          stdout=subprocess.PIPE)
    return {option["name"]: option["value"] for option in json.loads(done.stdout)}


def binary(text, kind):
    """The path of the runtime that a configuration names."""
    if kind == "daemon.json":
        return json.loads(text)["runtimes"]["coracle"]["path"]
    config = tomllib.loads(text)
    if kind == "coracle.conf":
        engine = config["engine"]
        if "coracle" not in engine["runtime_supports_json"]:
            return "coracle is not in runtime_supports_json"
        return engine["runtimes"]["coracle"][0]
    runtimes = config["plugins"]["io.containerd.grpc.v1.cri"]["containerd"]["runtimes"]
    return runtimes["coracle"]["options"]["BinaryName"]


def examples(folder, prefix):
    out = []
    for name in EXAMPLES:
        path = "%s%s/share/coracle/%s" % (folder, prefix, name)
        if not os.path.exists(path):
            out.append("%s is not installed" % name)
            continue
        with open(path, encoding="utf-8") as file:
            named = binary(file.read(), name)
        if named != prefix + "/bin/coracle":
            out.append("%s names %s" % (name, named))
    return out


def others(folder, prefix):
    out = ["%s is not installed" % name
           for name in ("bin/coracle", "share/man/man8/coracle.8",
                        "share/man/man8/containerd-shim-coracle-v2.8")
           if not os.path.exists("%s%s/%s" % (folder, prefix, name))]
    link = "%s%s/bin/containerd-shim-coracle-v2" % (folder, prefix)
    return out + ([] if os.path.islink(link) and os.readlink(link) == "coracle" else
                  ["the shim's link is missing"])


def symbols(binary_path):
    """Words if the file has a table of symbols: then it is not stripped."""
    done = subprocess.run(["readelf", "--sections", "--wide", binary_path], text=True, check=False,
                          capture_output=True)
    if done.returncode:
        return [done.stderr.strip()]
    return ["%s is not stripped" % binary_path] if ".symtab" in done.stdout else []


def licences(folder, prefix):
    """Each text is there; the README among them names each of the others."""
    place = "%s%s/share/licenses/coracle/" % (folder, prefix)
    out = ["%s is not installed" % name for name in LICENCES if not os.path.exists(place + name)]
    if out:
        return out
    with open(place + "README", encoding="utf-8") as file:
        text = file.read()
    return ["README does not name %s" % name for name in LICENCES
            if name != "README" and name not in text]


def needed_by_default(build):
    """Every file that a plain `ninja`, and so `meson install`, makes or reads."""
    done = subprocess.run(["ninja", "-C", build, "-t", "inputs", "all"], text=True, check=True,
                          stdout=subprocess.PIPE)
    return done.stdout.splitlines()


def built_needlessly(files):
    out = ["%s is built by default" % name for name in files if name.startswith("tests/")]
    return out if files else ["nothing is built by default"]


def unindented(text):
    return "".join(line[4:] if line.startswith("    ") else line for line in text.splitlines(True))


def not_in_readme(readme, read_example):
    """Every line of an example that is no comment stands in README.md as it is installed."""
    shown = unindented(readme)
    out = []
    for name in EXAMPLES:
        text = read_example(name).replace("@bindir@", PREFIX + "/bin")
        body = "".join(line for line in text.splitlines(True) if not line.startswith("#"))
        if body.strip() not in shown:
            out.append("README.md does not show %s as it is" % name)
    return out


def self_test(tap):
    with tempfile.TemporaryDirectory() as empty:
        found = (len(examples(empty, PREFIX)), len(others(empty, PREFIX)),
                 len(not_in_readme("nothing", lambda name: "a = 1\n")),
                 len(not_in_readme("x\n\n    a = 1\n", lambda name: "# why\na = 1\n")),
                 len(licences(empty, PREFIX)), len(symbols(empty)))
    tap.add("self-test: what is missing is found",
            [] if found == (3, 4, 3, 0, 7, 1) else [repr(found)])
    made = built_needlessly(["../tests/a.cc", "runtime/coracle", "tests/unit/unit-spec"])
    tap.add("self-test: a test program that is built by default is found",
            [] if len(made) == 1 and "unit-spec" in made[0] else [repr(made)])


def main():
    tap = source.Tap()
    self_test(tap)
    options = options_of(sys.argv[1])
    prefix = options["prefix"]
    with tempfile.TemporaryDirectory(prefix="install-") as folder:
        tap.add("meson install", installed(sys.argv[1], folder))
        tap.add("the binary, its link and its manual pages", others(folder, prefix))
        if options["strip"]:
            tap.add("the binary is stripped", symbols("%s%s/bin/coracle" % (folder, prefix)))
        else:
            tap.skip("the binary is stripped", "this build was configured with strip=false")
        tap.add("the licences of what is in it", licences(folder, prefix))
        tap.add("the engines' configuration", examples(folder, prefix))
    tap.add("no test program is built for it", built_needlessly(needed_by_default(sys.argv[1])))
    tap.add("README.md shows the configuration as it is installed",
            not_in_readme(source.read("README.md"),
                          lambda name: source.read("tools/etc/%s.in" % name)))
    tap.finish()


if __name__ == "__main__":
    main()
