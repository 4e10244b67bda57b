#!/usr/bin/env python3
"""What the linked product may contain.  usage: binary.py PATH|--dynamic

One static executable: no interpreter, no NEEDED libraries, stripped at most 4 MiB. None of the
symbols that mean iostreams or locales came in (0.45 MB and 60 us a start), and none that load
code of the host into the process (dlopen, NSS: CVE-2019-14271).
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

import source

MAX_BYTES = 4 << 20
FORBIDDEN = re.compile(r"^(?:std::locale::classic\(\)|std::(?:__1::)?ios_base::Init::Init\(\)|"
                       r"getpw\w+|getgr(?:nam|gid|ent)\w*|getaddrinfo|gethostby\w+|"
                       r"__nss_database_get|popen|system|wordexp)$")
# glibc's stdio brings dlopen along for character sets that we never ask for; our own objects may
# not refer to it.
UNWANTED = re.compile(r"^(?:dlopen|dlmopen|dlsym|iconv_open|setlocale)$")


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def is_dynamic(path):
    headers = output("readelf", "-lW", path)
    dynamic = output("readelf", "-dW", path)
    out = ["%s asks for an interpreter" % path] if "INTERP" in headers else []
    return out + ["%s needs %s" % (path, name)
                  for name in re.findall(r"\(NEEDED\).*\[(.*?)\]", dynamic)]


def symbols(path):
    names = []
    for line in output("nm", "-C", path).split("\n"):
        match = re.match(r"^[0-9a-f ]{16,} ([A-TV-Za-tv-z]) (.*)$", line)  # defined only
        if match:
            names.append(re.sub(r"@.*", "", match.group(2)))
    return names


def forbidden(names):
    return sorted({name for name in names if FORBIDDEN.match(name)})


def references(build):
    """"object: symbol" for every unwanted symbol that an object of the product refers to."""
    out = []
    for folder, _, files in os.walk(build):
        top = os.path.relpath(folder, build).split("/")[0]
        objects = [os.path.join(folder, name) for name in files
                   if name.endswith(".o") and top in source.PRODUCT]
        for line in output("nm", "-uA", *objects).split("\n") if objects else ():
            match = re.match(r"^(.*):\s+U (\S+)$", line)
            if match and UNWANTED.match(match.group(2)):
                out.append("%s: %s" % (os.path.relpath(match.group(1), build), match.group(2)))
    return out


def stripped_size(path):
    with tempfile.NamedTemporaryFile() as copy:
        subprocess.run(["strip", "-o", copy.name, path], check=True)
        return os.path.getsize(copy.name)


def self_test(tap):
    source.must_find(tap, "forbidden symbols", lambda name: forbidden([name]),
                     ["std::locale::classic()", "getpwnam", "getgrgid_r", "system"],
                     ["std::string::size()", "coracle::system_name()", "getpid", "reopen"])
    compiler = shutil.which("c++") or shutil.which("cc")
    if not compiler:
        tap.skip("self-test: linking and references are seen", "no compiler")
        return
    with tempfile.TemporaryDirectory() as scratch:
        path = os.path.join(scratch, "dynamic")
        subprocess.run([compiler, "-x", "c++", "-", "-o", path], check=True, text=True,
                       input="#include <iostream>\nint main() { std::cout << 1; }\n")
        tap.add("self-test: dynamic linking is seen", [] if is_dynamic(path) else ["blind"])
        os.mkdir(os.path.join(scratch, "runtime"))
        subprocess.run([compiler, "-x", "c++", "-c", "-", "-o", scratch + "/runtime/x.o"], text=True,
                       input="#include <dlfcn.h>\nvoid* f() { return dlopen(\"x\", 1); }\n",
                       check=True)
        tap.add("self-test: references are seen",
                [] if references(scratch) == ["runtime/x.o: dlopen"] else ["blind"])


if __name__ == "__main__":
    results = source.Tap()
    binary = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("CORACLE", "")
    if not all(shutil.which(tool) for tool in ("readelf", "nm", "strip")):
        results.skip("link check", "binutils are not installed")
        results.finish()
    self_test(results)
    if binary == "--dynamic":
        results.skip("link check", "this is a dynamic build, for sanitizers")
    elif not binary or not os.path.exists(binary):
        results.skip("link check", "the runtime is not built")
    else:
        results.add("static", is_dynamic(binary))
        size = stripped_size(binary)
        results.add("stripped size at most %d bytes" % MAX_BYTES,
                    ["%d bytes" % size] if size > MAX_BYTES else [], ["%d bytes" % size])
        build = os.path.dirname(os.path.dirname(os.path.abspath(binary)))
        results.add("no object refers to dlopen and its like", references(build))
        names = symbols(binary)
        if len(names) < 100:
            results.skip("no forbidden symbols", "%s is stripped" % binary)
        else:
            results.add("no forbidden symbols among %d" % len(names), forbidden(names))
    results.finish()
