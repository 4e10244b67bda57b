#!/usr/bin/env python3
"""Calls and headers that the product may not use.

Raw path calls are allowed below runtime/sys and in runtime/init only: elsewhere a path is a
RootDir plus a path through openat2 (CVE-2021-30465, CVE-2024-45310, CVE-2026-41579 are all path
strings resolved twice). mount(2) is in runtime/init/mount_page.cc alone, for options that
fsconfig(2) does not take: a mount is a detached fd and one move_mount. The words of an errno value
are spec/errno_words.h's, the same in every build. The rest costs start-up time (iostream, locale),
or brings code of the host into the process (getpw*, dlopen: CVE-2019-14271), or a shell (system,
popen).
"""
import re

import source

# Allowed only in runtime/sys and runtime/init.
RAW = """open open64 openat openat64 openat2 creat mkdir mkdirat mknod mknodat symlink symlinkat
    link linkat unlink unlinkat rmdir rename renameat renameat2 chmod fchmodat chown lchown fchownat
    truncate stat lstat fstatat statx access faccessat readlink readlinkat realpath
    canonicalize_file_name chdir chroot pivot_root umount umount2 open_tree move_mount fsopen
    fsconfig fsmount fspick mount_setattr utimensat mkfifo mkstemp mkdtemp opendir fopen
    fdopendir scandir nftw ftw glob""".split()
# Allowed nowhere.
NEVER = """mount system popen pclose getpwnam getpwuid getpwnam_r getpwuid_r getpwent getgrnam
    getgrgid getgrnam_r getgrgid_r getgrent getgrouplist initgroups dlopen dlsym getaddrinfo
    gethostbyname setlocale iconv_open wordexp tmpnam mktemp tempnam strcpy strcat sprintf
    vsprintf gets strerror strerror_r strerrordesc_np perror""".split()
# The ends of processes are looked at in one place each of runtime and shim.
REAP = re.compile(r"\b(?:waitpid|waitid|wait3|wait4)\s*\(|\b(?:SYS|__NR)_(?:waitid|wait4)\b")
REAPERS = ("runtime/sys/process.cc", "shim/children.cc", "runtime/init/proc_contexts.cc")
HEADERS = """iostream istream ostream fstream sstream iomanip filesystem regex locale codecvt
    format ranges source_location strstream thread future""".split()
KEYWORDS = {"return", "co_return", "co_await", "else", "case", "throw", "do", "and", "or", "not",
            "constexpr", "in"}
CALL = re.compile(r"(?P<before>[\w>)\]]\s*(?:\.|->)\s*|\b\w+\s*(?:<[^<>;]*>)?\s*::\s*|::\s*)?"
                  r"\b(?P<name>%s)\s*\(" % "|".join(sorted(RAW + NEVER, key=len, reverse=True)))
# The same by number; syscall() itself is fine above runtime/sys (clone3, execveat, memfd_create).
RAW_NUMBER = re.compile(r"\b(?:SYS|__NR)_(%s)\b" % "|".join(RAW))
MOUNT_NUMBER = re.compile(r"\b(?:SYS_mount|__NR_mount)\b(?!_)")
INCLUDE = re.compile(r"^[ \t]*#[ \t]*include[ \t]*<(%s)>" % "|".join(HEADERS), re.M)


def is_call(plain, match):
    """Whether the match calls the C function: not a method, not another namespace's, not a
    declaration (`int open(`) ."""
    before = (match.group("before") or "").replace(" ", "")
    if before.endswith((".", "->")) or re.fullmatch(r"\w+(<.*>)?::", before):
        return before == "std::"
    if before == "::":
        return True
    earlier = plain[:match.start()].rstrip()
    word = re.search(r"([\w>*&]+)$", earlier)
    if not word:
        return True
    if word.group(1) in KEYWORDS:
        return True
    return not re.search(r"[\w>*&]$", earlier) or earlier.endswith("&&") or \
        bool(re.search(r"[=(,!|?:+-]\s*[*&]$", earlier))


def own_names(plain):
    """Names that this file declares itself: an unqualified call of one is not the C function."""
    return {match.group("name") for match in CALL.finditer(plain)
            if not match.group("before") and not is_call(plain, match)}


def findings(name, text):
    plain = source.blank(text)
    own = own_names(plain)
    low = name.startswith(("runtime/sys/", "runtime/init/"))
    out = []

    def add(position, what):
        out.append("%s:%d: %s" % (name, plain.count("\n", 0, position) + 1, what))

    for match in CALL.finditer(plain):
        word = match.group("name")
        if word in own and not match.group("before"):
            continue
        if (word in NEVER or not low) and is_call(plain, match):
            where = "anywhere" if word in NEVER else "outside runtime/sys and runtime/init"
            add(match.start("name"), "%s() is not for use %s" % (word, where))
    for match in RAW_NUMBER.finditer(plain) if not low else ():
        add(match.start(), "%s is not for use outside runtime/sys and runtime/init" %
            match.group(0))
    for match in MOUNT_NUMBER.finditer(plain):
        if name != "runtime/init/mount_page.cc":
            add(match.start(), "mount(2) is for runtime/init/mount_page.cc alone")
    for match in REAP.finditer(plain) if name not in REAPERS else ():
        add(match.start(), "children are reaped by runtime/sys/process.h")
    for match in INCLUDE.finditer(text):
        add(match.start(), "<%s> is not for use in the product" % match.group(1))
    return out


def self_test(tap):
    def above(text):
        return findings("runtime/plan/x.cc", text)

    def below(text):
        return findings("runtime/sys/x.cc", text)

    source.must_find(
        tap, "raw calls above runtime/sys", above,
        ["int f() { return open(p, 0); }", "x = ::mkdir(p, 1);", "if (stat(p, &s) == 0) {}",
         "std::rename(a, b);", "void f() { unlink(p); }", "a && chdir(p);", "y = !access(p, 0);",
         "syscall(SYS_openat2, fd, p)", "#include <iostream>\n",
         "#include <filesystem>\n", "#include  <regex>\n"],
        ["// open(p)\n", "/* mkdir(p) */", 'f("open(2)");', "root.open(p);", "sys::open(p);",
         "Fd open(const char* p);", "store->unlink(x);", "reopen(p);", "open_record(p);",
         "#include <string>\n", "Fd& link(int a);", "static int open(int a) { return a; }",
         "struct S { void f() { open(1); } void open(int x); };",
         "sys::Fd::open(x);", "syscall(SYS_clone3, &a, b);"])
    source.must_find(
        tap, "calls allowed nowhere", below,
        ["mount(a, b, c, 0, 0);", "::system(c);", "syscall(SYS_mount, a);", "p = getpwnam(n);",
         "dlopen(x, 0);", "std::system(x);", "popen(c, r);", "syscall(__NR_mount, a)",
         "while (waitpid(p, 0, 0) < 0) {}", "::waitid(P_PID, p, &i, 0)"],
        ["open(p, 0);", "mkdirat(fd, p, 1);", "syscall(SYS_mount_setattr, fd);", "plan.mount(x);",
         "umount2(a, b);", "remount(x);", "void mount(Plan& plan);"])


if __name__ == "__main__":
    results = source.Tap()
    self_test(results)
    names = source.product_sources()
    results.add("no forbidden calls or headers in %d files" % len(names),
                [f for name in names for f in findings(name, source.read(name))])
    results.finish()
