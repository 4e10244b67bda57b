#!/usr/bin/env python3
"""Prints the topics of the test_<topic>.py in this folder."""
import os
import re

for name in sorted(os.listdir(os.path.dirname(os.path.abspath(__file__)))):
    match = re.fullmatch(r"test_(\w+)\.py", name)
    if match:
        print(match.group(1))
