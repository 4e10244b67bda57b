#!/usr/bin/env python3
"""Who may include whom (the arrows point from the includer to what it may include):

    shim -> runtime -> hooks -> spec        runtime/sys -> nothing of ours, and not from spec
    runtime/plan -/-> engine, container, checkpoint, cgroup, store, commands
    runtime/engine -/-> the verbs: container, checkpoint, commands
    runtime/container -/-> commands; checkpoint is beside it, and may include it
    runtime/commands -/-> engine, plan
    runtime/init -> runtime/plan/format.h and its own folder only
    product -/-> tests, oci-conformance
    runtime/main.cc, which picks the role by name, -> shim/main.h
"""
import re

import source

LAYERS = {"spec": 0, "hooks": 1, "runtime": 2, "shim": 3}
VERBS = ("runtime/container", "runtime/checkpoint", "runtime/commands")
NEVER = {"runtime/plan": VERBS + ("runtime/engine", "runtime/cgroup", "runtime/store"),
         "runtime/host": VERBS + ("runtime/engine",),
         "runtime/engine": VERBS,
         "runtime/container": ("runtime/commands", "runtime/checkpoint"),
         "runtime/checkpoint": ("runtime/commands",),
         "runtime/commands": ("runtime/engine", "runtime/plan")}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)


def folder(path):
    """spec, hooks, shim, or runtime/<sub> (runtime for its top files)."""
    parts = path.split("/")
    return "/".join(parts[:2]) if parts[0] == "runtime" and len(parts) > 2 else parts[0]


def allowed(includer, included):
    """None, or why `includer` may not include our header `included` (paths from the root)."""
    if (includer, included) == ("runtime/main.cc", "shim/main.h"):
        return None
    source_folder, target_folder = folder(includer), folder(included)
    source_top, target_top = source_folder.split("/")[0], target_folder.split("/")[0]
    if source_folder == target_folder:
        return None
    if target_top not in LAYERS:
        return "the product includes nothing from %s/" % target_top
    if source_folder == "runtime/sys":
        return "runtime/sys includes nothing of ours"
    if source_folder == "runtime/init":
        if included == "runtime/plan/format.h":
            return None
        return "runtime/init includes only runtime/plan/format.h and its own folder"
    if target_folder == "runtime/sys":
        return "spec does not know runtime/sys" if source_top == "spec" else None
    if target_folder in NEVER.get(source_folder, ()):
        return "%s never includes %s" % (source_folder, target_folder)
    if LAYERS[target_top] > LAYERS[source_top]:
        return "%s does not know %s" % (source_top, target_top)
    return None


def findings(name, text):
    out = []
    for match in INCLUDE.finditer(re.sub(r"/\*.*?\*/", "", text, flags=re.S)):
        quote, path = match.groups()
        line = text.count("\n", 0, text.find(match.group(0))) + 1
        if path.startswith("."):
            out.append("%s:%d: include %s is not written from the project's root" %
                       (name, line, path))
        elif path.split("/")[0] in LAYERS or path.split("/")[0] in ("tests", "oci-conformance"):
            reason = allowed(name, path)
            if reason:
                out.append("%s:%d: includes %s: %s" % (name, line, path, reason))
        elif quote == '"' and "/" not in path and not path.endswith(".inc"):
            out.append('%s:%d: "%s" is not written from the project\'s root' % (name, line, path))
    return out


def self_test(tap):
    bad = [("spec/a.cc", "runtime/sys/fd.h"), ("spec/a.cc", "hooks/run.h"),
           ("hooks/a.cc", "runtime/plan/plan.h"), ("runtime/sys/a.cc", "spec/error.h"),
           ("runtime/plan/a.cc", "runtime/store/record.h"),
           ("runtime/engine/a.cc", "runtime/container/exec.h"),
           ("runtime/commands/a.cc", "runtime/engine/walk.h"),
           ("runtime/init/a.cc", "runtime/sys/fd.h"), ("runtime/init/a.cc", "spec/spec.h"),
           ("runtime/log.cc", "shim/main.h"), ("runtime/main.cc", "tests/unit/x.h"),
           ("spec/a.cc", "../runtime/x.h"), ("spec/a.cc", "error.h")]
    good = [("runtime/init/a.cc", "runtime/plan/format.h"), ("hooks/a.cc", "runtime/sys/fd.h"),
            ("runtime/commands/a.cc", "runtime/store/record.h"), ("shim/a.cc", "spec/spec.h"),
            ("runtime/plan/a.cc", "runtime/sys/fd.h"), ("spec/a.cc", "spec/error.h"),
            ("runtime/main.cc", "shim/main.h")]

    def check(pair):
        return findings(pair[0], '#include <string>\n#include "%s"\n' % pair[1])

    source.must_find(tap, "include direction", check, bad, good)


if __name__ == "__main__":
    results = source.Tap()
    self_test(results)
    names = source.product_sources()
    results.add("includes of %d files go the allowed way" % len(names),
                [f for name in names for f in findings(name, source.read(name))])
    results.finish()
