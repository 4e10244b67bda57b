"""Profiles for linux.seccomp."""
import os

GETCWD, MKDIR, PERSONALITY, UNAME, SYNC = 79, 83, 135, 63, 162
ARCH = os.uname().machine


def profile(*rules, default="SCMP_ACT_ALLOW", **more):
    def edit(config):
        config["linux"]["seccomp"] = {
            "defaultAction": default,
            "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
            "syscalls": list(rules), **more}
    return edit


def rule(names, action="SCMP_ACT_ERRNO", **more):
    return {"names": [names] if isinstance(names, str) else names, "action": action, **more}
