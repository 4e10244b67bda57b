"""What goes over the wires of the test machine, and what all of its host side shares."""
import os
import struct
import sys


HERE = os.path.dirname(os.path.abspath(__file__))
HEAD = struct.Struct('>cII')
WINDOW = 1 << 18                     # stdin bytes in flight to the guest
CACHE = os.environ.get('CORACLE_VM_CACHE') or os.path.join(
    os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'), 'coracle-vm')
BOOT_LIMIT = float(os.environ.get('CORACLE_VM_BOOT_LIMIT', '180'))
FORMAT = 1                           # count up when the machine's devices or kernel arguments change
NO_CODE = 125                        # the machine failed, not the command


def die(msg, code=NO_CODE):
    sys.stderr.write(f'coracle-vm: {msg}\n')
    sys.exit(code)


def frame(kind, chan, data=b''):
    return HEAD.pack(kind, chan, len(data)) + data


def frames(buf):
    """The whole frames at the front of buf, taken out of it."""
    while len(buf) >= HEAD.size:
        kind, chan, size = HEAD.unpack_from(buf)
        if len(buf) < HEAD.size + size:
            return
        payload = bytes(buf[HEAD.size:HEAD.size + size])
        del buf[:HEAD.size + size]
        yield kind, chan, payload
