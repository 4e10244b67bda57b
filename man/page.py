#!/usr/bin/env python3
"""page.py COMMAND TEMPLATE OUTPUT: puts the commands' options, as the program itself tells them,
in the place of the line @COMMANDS@ of a manual page's source."""
import subprocess
import sys

program, template, output = sys.argv[1:]
options = subprocess.run([program, "help", "--format=scdoc"], check=True, capture_output=True,
                         text=True).stdout
with open(template, encoding="utf-8") as source:
    text = source.read()
if text.count("\n@COMMANDS@\n") != 1:
    sys.exit(template + ": expected one line @COMMANDS@")
with open(output, "w", encoding="utf-8") as page:
    page.write(text.replace("@COMMANDS@\n", options.rstrip("\n") + "\n"))
