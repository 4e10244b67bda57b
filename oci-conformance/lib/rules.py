"""The rules of the specification, each with the test that examines it.

    @must("R10", "runtime.md#create", "create does not run the program")
    def _(c):                       # c: a Case (case.py), fresh for every test
        ...

A rule that nothing can examine is registered by untestable() and counts as skipped.
"""
SPEC = "1.3.0"  # of opencontainers/runtime-spec, the text that the numbers refer to
RULES = []


class Rule:
    def __init__(self, number, level, section, text, function=None, reason=None):
        self.number, self.level, self.section, self.text = number, level, section, text
        self.function, self.reason = function, reason
        self.place = "%s:%d" % (function.__module__, function.__code__.co_firstlineno) \
            if function else "-"

    def name(self):
        return "%s %s %s: %s" % (self.number, self.level, self.section, self.text)


class Skip(Exception):
    """Ends a test as skipped; the text is the reason."""


class Failure(AssertionError):
    """Ends a test as failed; the text says what was wanted and what came."""


def _register(level):
    def outer(number, section, text):
        def inner(function):
            RULES.append(Rule(number, level, section, text, function))
            return function
        return inner
    return outer


must = _register("MUST")
must_not = _register("MUST NOT")
should = _register("SHOULD")
should_not = _register("SHOULD NOT")
may = _register("MAY")


def untestable(number, level, section, text, reason):
    RULES.append(Rule(number, level, section, text, reason=reason))


def skip(reason):
    raise Skip(reason)


def fail(words):
    raise Failure(words)


def eq(want, got, what=""):
    if want != got:
        fail("%swanted %r, got %r" % (what + ": " if what else "", want, got))


def true(condition, what):
    if not condition:
        fail(what)


def order(rule):
    """R2 before R10."""
    return rule.number.rstrip("0123456789"), int(rule.number.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
