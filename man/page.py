#!/usr/bin/env python3
"""page.py OPTIONS TEMPLATE OUTPUT: puts the commands' options (a file: what the program itself tells
of them) in the place of the line @COMMANDS@ of a manual page's source."""
import sys

options, template, output = sys.argv[1:]
with open(options, encoding="utf-8") as told, open(template, encoding="utf-8") as source:
    commands, text = told.read(), source.read()
if text.count("\n@COMMANDS@\n") != 1:
    sys.exit(template + ": expected one line @COMMANDS@")
with open(output, "w", encoding="utf-8") as page:
    page.write(text.replace("@COMMANDS@\n", commands.rstrip("\n") + "\n"))
