#!/usr/bin/env python3
"""embed.py INIT HEADER: a header with the init's path, which changes whenever its bytes do."""
import hashlib
import os
import sys

path = os.path.abspath(sys.argv[1])
with open(path, "rb") as init:
    digest = hashlib.sha256(init.read()).hexdigest()
with open(sys.argv[2], "w", encoding="ascii") as header:
    header.write(f'#pragma once\n// sha256 {digest}\n#define CORACLE_INIT_PATH "{path}"\n')
