"""A root filesystem from Debian's static busybox; made once a program, then hard-linked."""
import os
import shutil
import subprocess
import tempfile

FOLDERS = "bin sbin usr/bin dev proc sys etc tmp run var root home mnt".split()
PASSWD = "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home/user:/bin/sh\n"
GROUP = "root:x:0:\nuser:x:1000:\n"
_template = None


def busybox():
    for path in ("/bin/busybox", "/usr/bin/busybox"):
        if os.path.exists(path):
            return path
    return shutil.which("busybox") or "busybox"


def _made():
    global _template
    if _template is None:
        _template = tempfile.mkdtemp(prefix="coracle-rootfs-")
        _fill(_template)
    return _template


def discard():
    """Removes the template; at the end of the program (os._exit runs no atexit handlers)."""
    global _template
    if _template is not None:
        shutil.rmtree(_template, ignore_errors=True)
        _template = None


def tools_folder():
    """Where a test program may put what it compiles."""
    return _made()


def _fill(top):
    os.chmod(top, 0o755)
    for name in FOLDERS:
        os.makedirs(os.path.join(top, name), 0o755)
    os.chmod(os.path.join(top, "tmp"), 0o1777)
    shutil.copyfile(busybox(), os.path.join(top, "bin", "busybox"))
    os.chmod(os.path.join(top, "bin", "busybox"), 0o755)
    applets = subprocess.run([busybox(), "--list"], capture_output=True, text=True, check=True)
    for name in applets.stdout.split():
        if name != "busybox":
            os.link(os.path.join(top, "bin/busybox"), os.path.join(top, "bin", name))
    for name, text in (("passwd", PASSWD), ("group", GROUP)):
        with open(os.path.join(top, "etc", name), "w", encoding="ascii") as file:
            file.write(text)
    source = os.environ.get("PROBE")
    if not source:
        here = os.path.dirname(os.path.abspath(__file__))
        subprocess.run(["c++", "-std=c++20", "-O1", "-static", os.path.join(here, "probe.cc"),
                        "-o", os.path.join(top, ".probe")], check=True)
        source = os.path.join(top, ".probe")
    shutil.copyfile(source, os.path.join(top, "bin", "probe"))
    os.chmod(os.path.join(top, "bin", "probe"), 0o755)


def make(path):
    """A root filesystem at `path`; files are hard links to the template, /etc is a copy."""
    top = _made()
    os.makedirs(path, 0o755)
    for name in FOLDERS:
        os.makedirs(os.path.join(path, name), 0o755, exist_ok=True)
    os.chmod(os.path.join(path, "tmp"), 0o1777)
    for entry in os.scandir(os.path.join(top, "bin")):
        os.link(entry.path, os.path.join(path, "bin", entry.name))
    for entry in os.scandir(os.path.join(top, "etc")):
        shutil.copy(entry.path, os.path.join(path, "etc", entry.name))
