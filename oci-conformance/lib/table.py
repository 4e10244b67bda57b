"""The table that maps the specification's sentences to tests (table.md)."""
from rules import SPEC

HEAD = """# What is examined

One row for each MUST, MUST NOT, SHOULD and SHOULD NOT of runtime-spec %s that concerns a runtime on
Linux, in words of our own; the section leads to the sentence. Made by `oci-conformance/run --table`.

| number | level | section | rule | test |
| --- | --- | --- | --- | --- |
"""
SOURCE = "https://github.com/opencontainers/runtime-spec/blob/v%s/%s"


def row(rule):
    test = "`parts/%s.py`" % rule.function.__module__ if rule.function else \
        "none: " + rule.reason
    return "| %s | %s | [%s](%s) | %s | %s |\n" % (
        rule.number, rule.level, rule.section.replace("#", " "), SOURCE % (SPEC, rule.section),
        rule.text.replace("|", "\\|"), test)


def text(rules):
    return HEAD % SPEC + "".join(row(rule) for rule in rules)
