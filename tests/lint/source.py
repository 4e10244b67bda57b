"""Reading C++ sources for the lint tests: files, text without comments, tokens, functions.

Nothing here knows a rule; the rules are in the scripts beside this one.
"""
import os
import re
import subprocess
import sys

ROOT = os.environ.get("CORACLE_SOURCE") or os.path.dirname(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PRODUCT = ("spec", "hooks", "runtime", "shim")
CODE = (".cc", ".h", ".c")


def tracked():
    """Paths, relative to ROOT, of all files that git knows or would add; without git, all."""
    try:
        done = subprocess.run(["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard", "-z"],
                              capture_output=True, check=True)
        names = [name for name in done.stdout.decode().split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        names = []
        for folder, folders, files in os.walk(ROOT):
            folders[:] = [f for f in folders if not f.startswith((".git", "__pycache__"))
                          and not os.path.exists(os.path.join(folder, f, "build.ninja"))]
            names += [os.path.relpath(os.path.join(folder, name), ROOT) for name in files]
    return sorted(n for n in set(names) if os.path.isfile(os.path.join(ROOT, n)))


def product_sources():
    return [n for n in tracked() if n.split("/")[0] in PRODUCT and n.endswith(CODE)]


def read(name):
    with open(os.path.join(ROOT, name), encoding="utf-8", errors="replace") as file:
        return file.read()


_LEXEME = re.compile(
    r"""//[^\n]*                                   # line comment
      | /\*.*?\*/                                  # block comment
      | R"([^\s()\\]{0,16})\((?:.*?)\)\1"          # raw string
      | "(?:\\.|[^"\\\n])*"                        # string
      | (?<![0-9a-zA-Z_])'(?:\\.|[^'\\\n])+'       # character (not the digit separator 1'000)
    """, re.S | re.X)


def blank(text):
    """The text with comments, strings and characters blanked; offsets and lines are kept."""
    def space(match):
        word = match.group(0)
        body = re.sub(r"[^\n]", " ", word)
        if word[0] in "\"'R":  # keep the quotes, so that an initialiser still looks like one
            body = '"' + body[1:-1] + '"' if len(word) > 1 else word
        return body
    return _LEXEME.sub(space, text)


def without_preprocessor(text):
    """Blanks #-lines with their continuations: the bodies of macros are not functions."""
    return re.sub(r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", lambda m: re.sub(r"[^\n]", " ", m.group(0)),
                  text, flags=re.M | re.S)


class Function:
    """name, first line (of its head), last line, number of lines, and whether marked // table."""

    def __init__(self, name, first, last, table):
        self.name, self.first, self.last, self.table = name, first, last, table
        self.lines = last - first + 1


_NOT_FUNCTION = re.compile(r"^(?:typedef\s+|static\s+|inline\s+|constexpr\s+|const\s+|export\s+)*"
                           r"(?:namespace|class|struct|union|enum|extern\s*\"\s*\")")


def _kind(head):
    """Of the text between the last ; { } and a {: scope (look inside), function, or other."""
    head = re.sub(r"^\s*(?:public|private|protected)\s*:", "", head)
    head = re.sub(r"^\s*template\s*<.*?>\s*(?=\w)", "", head, flags=re.S).strip()
    if not head:
        return "scope"
    if _NOT_FUNCTION.match(head) and "(" not in re.sub(r"\([^()]*\)", "", head) \
            and not re.search(r"\)\s*(?:const|noexcept|override|final|&|&&)*\s*$", head):
        return "scope"
    if re.search(r"(?<![=!<>])=(?!=)[^()]*$", re.sub(r"operator\s*[=!<>]+", "operator", head)):
        return "other"
    return "function" if "(" in head else "other"


def functions(text):
    """Every function with a body, in order; lambdas belong to the function they are in."""
    plain = without_preprocessor(blank(text))
    found, start, position = [], 0, 0
    while position < len(plain):
        char = plain[position]
        if char in ";}":
            start = position + 1
        elif char == "{":
            head = plain[start:position]
            kind = _kind(head)
            if head.count("(") > head.count(")"):  # a default argument: `int f(T v = {}) {`
                position = _matching(plain, position)
            elif kind == "scope":
                start = position + 1
            else:
                end = _matching(plain, position)
                if kind == "function":
                    found.append(_function(text, plain, start, position, end))
                position = end
                # A constructor's initialiser list `: a{1}, b{2} {` goes on after a brace.
                rest = plain[end + 1:end + 200].lstrip()
                if kind == "function" and rest[:1] in (",", "{"):
                    found.pop()
                    position = plain.index(rest[0], end + 1) - (rest[0] == "{")
                    if rest[0] == "{":
                        position += 1
                        end = _matching(plain, position)
                        found.append(_function(text, plain, start, position, end))
                        position = end
                        start = end + 1
                else:
                    start = end + 1
        position += 1
    return found


def _matching(plain, opening):
    depth = 0
    for position in range(opening, len(plain)):
        if plain[position] == "{":
            depth += 1
        elif plain[position] == "}":
            depth -= 1
            if depth == 0:
                return position
    return len(plain) - 1


def _function(text, plain, start, opening, closing):
    head = plain[start:opening]
    start += len(head) - len(head.lstrip())
    first = text.count("\n", 0, start) + 1
    last = text.count("\n", 0, closing) + 1
    lines = text.split("\n")
    table = any("// table" in line for line in lines[first - 1:text.count("\n", 0, opening) + 1])
    before = head[:head.index("(")] if "(" in head else head
    names = re.findall(r"[\w:~]+", before)
    return Function(names[-1] if names else "?", first, last, table)


class Tap:
    """Collects results and prints them as TAP; `findings` are strings "file:line: what"."""

    def __init__(self):
        self.results = []

    def add(self, name, findings=(), notes=()):
        self.results.append((name, list(findings), list(notes), None))

    def skip(self, name, reason):
        self.results.append((name, [], [], reason))

    def finish(self):
        print("1..%d" % len(self.results))
        for number, (name, findings, notes, reason) in enumerate(self.results, 1):
            if reason:
                print("ok %d - %s # SKIP %s" % (number, name, reason))
                continue
            print("%s %d - %s" % ("not ok" if findings else "ok", number, name))
            for line in list(notes) + findings[:60]:
                print("# " + line)
            if len(findings) > 60:
                print("# ... and %d more" % (len(findings) - 60))
        sys.exit(1 if any(f for _, f, _, _ in self.results) else 0)


def must_find(tap, name, check, bad, good):
    """The self-test of a rule: `check` finds something in every `bad` and nothing in `good`."""
    wrong = ["blind to: " + repr(text) for text in bad if not check(text)]
    wrong += ["false alarm: %r: %s" % (text, check(text)) for text in good if check(text)]
    tap.add("self-test: " + name, wrong)
