#!/usr/bin/env python3
"""Prints one line a test program: SUITE NAME SOURCE... (sources relative to this folder)."""
import os
import re

here = os.path.dirname(os.path.abspath(__file__))
programs = {}
for name in sorted(os.listdir(here)):
    match = re.fullmatch(r"([a-z0-9]+)_[a-z0-9_]*_?test\.cc", name)
    if match:
        suite = "golden" if "golden" in name else "unit"
        programs.setdefault((suite, "%s-%s" % (suite, match.group(1))), []).append(name)
for (suite, program), sources in sorted(programs.items()):
    print(suite, program, *sources)
