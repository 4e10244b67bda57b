"""A folder of the host that must stay as it is, whatever an image or config tries."""
import hashlib
import os


class Canary:
    def __init__(self, path):
        self.path = path
        os.makedirs(os.path.join(path, "sub"))
        for name in ("file", "ptmx", "null", "sub/deep"):
            with open(os.path.join(path, name), "w", encoding="ascii") as file:
                file.write("canary " + name + "\n")
        self.before = self.fingerprint()

    def fingerprint(self):
        out = []
        for folder, folders, files in os.walk(self.path):
            for name in sorted(folders + files):
                full = os.path.join(folder, name)
                info = os.lstat(full)
                content = ""
                if os.path.isfile(full) and not os.path.islink(full):
                    with open(full, "rb") as file:
                        content = hashlib.sha256(file.read()).hexdigest()
                out.append((os.path.relpath(full, self.path), info.st_mode, info.st_uid,
                            info.st_gid, info.st_rdev, content))
        return sorted(out)

    def check(self):
        """Raises AssertionError with the differences if anything changed."""
        now = self.fingerprint()
        if now != self.before:
            raise AssertionError("the host's folder changed: %s" % sorted(
                set(map(str, now)) ^ set(map(str, self.before))))
