#!/usr/bin/env python3
"""No function over 60 lines unless its head says `// table`, no file over 500 lines.

The median and the 90th percentile of all functions are printed; the median may not pass 12
(conventions: about 10).
"""
import statistics

import source

MAX_FUNCTION, MAX_FILE, MAX_MEDIAN = 60, 500, 12


def long_functions(name, text):
    return ["%s:%d: %s has %d lines (at most %d; a table says so with // table)" %
            (name, f.first, f.name, f.lines, MAX_FUNCTION)
            for f in source.functions(text) if f.lines > MAX_FUNCTION and not f.table]


def long_files(name, text):
    lines = text.count("\n")
    return ["%s: %d lines (at most %d)" % (name, lines, MAX_FILE)] if lines > MAX_FILE else []


def self_test(tap):
    def body(lines):
        return "".join("  x();\n" for _ in range(lines - 2))

    def check(text):
        return long_functions("x.cc", text)

    source.must_find(
        tap, "long functions", check,
        ["namespace a {\nint f(int b) {\n" + body(61) + "}\n}\n",
         "class A {\n public:\n  void g() const {\n" + body(61) + "  }\n};\n",
         "A::A(int x) : a_{x}, b_(x) {\n" + body(61) + "}\n",
         "template <typename T>\nT f(T x) {\n" + body(60) + "}\n",
         "auto f() -> int {\n auto l = [] {\n" + body(60) + "};\n}\n",
         "struct S {\n  bool operator==(const S& o) const {\n" + body(61) + "  }\n};\n",
         "int f(std::vector<int> v = {}) {\n" + body(61) + "}\n"],
        ["int f() {\n" + body(60) + "}\n", "int f() {  // table\n" + body(90) + "}\n",
         "const int kTable[] = {\n" + "  1,\n" * 80 + "};\n",
         "struct S {\n" + "  int a;\n" * 80 + "};\n",
         "namespace {\n" + "int f() { return 1; }\n" * 80 + "}\n",
         "#define A(x) \\\n" + "  f(x); \\\n" * 80 + "  g(x)\n",
         "enum class E {\n" + "  a,\n" * 80 + "};\n"])
    source.must_find(tap, "long files", lambda text: long_files("x.cc", text),
                     ["\n" * 501], ["\n" * 500])
    found = [f.name for f in source.functions(
        "A::A(int x) : a_{x} {\n}\nint B::f() const {\n if (x) {\n }\n}\nvoid g() {}\n")]
    tap.add("self-test: functions are found",
            [] if found == ["A::A", "B::f", "g"] else ["found " + repr(found)])


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


if __name__ == "__main__":
    results = source.Tap()
    self_test(results)
    texts = {name: source.read(name) for name in source.product_sources()}
    results.add("functions of at most %d lines" % MAX_FUNCTION,
                [f for name, text in texts.items() for f in long_functions(name, text)])
    every = {n: source.read(n) for n in source.tracked()
             if n.endswith(source.CODE + (".py",)) or n == "tests/run"}
    results.add("files of at most %d lines" % MAX_FILE,
                [f for name, text in every.items() for f in long_files(name, text)])
    sizes = [f.lines for text in texts.values() for f in source.functions(text)]
    if sizes:
        median = statistics.median(sizes)
        note = "%d functions: median %g lines, p90 %d, largest %d" % (
            len(sizes), median, percentile(sizes, 0.9), max(sizes))
        results.add("median function of at most %d lines" % MAX_MEDIAN,
                    [note] if median > MAX_MEDIAN else [], [note])
    results.finish()
