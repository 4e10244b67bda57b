#!/usr/bin/env python3
"""Compares what our unit test programs print with what a cmocka program prints.

usage: reporter_test.py PATH-OF-reporter_sample

The expected texts were taken from a cmocka 1.1.5 program with the same tests; the differences
that cmocka_reporter.h lists are written in.
"""
import os
import re
import subprocess
import sys
import tempfile

SAMPLE = sys.argv[1]

STDOUT = """\
[==========] Running 6 test(s).
[ RUN      ] passes
[       OK ] passes
[ RUN      ] fails <&"
[  FAILED  ] fails <&"
[ RUN      ] is skipped
[  SKIPPED ] is skipped
[ RUN      ] throws
[  FAILED  ] throws
[ RUN      ] fails after asking for a skip
[  FAILED  ] fails after asking for a skip
[ RUN      ] crashes if told so
[       OK ] crashes if told so
[==========] 6 test(s) run.
"""
STDERR = """\
[  ERROR   ] --- CHECK( 1 == 2 ) is wrong: 1 == 2
with: context ]]> of the check
[   LINE   ] --- FILE:LINE: error: Failure!
[  ERROR   ] --- uncaught exception: boom
[  ERROR   ] --- CHECK_FALSE( true ) is wrong: true
[   LINE   ] --- FILE:LINE: error: Failure!
[  PASSED  ] 2 test(s).
[  SKIPPED ] 1 test(s), listed below:
[  SKIPPED ] is skipped

 1 SKIPPED TEST(S)
[  FAILED  ] 3 test(s), listed below:
[  FAILED  ] fails <&"
[  FAILED  ] throws
[  FAILED  ] fails after asking for a skip

 3 FAILED TEST(S)
"""
TAP = """\
1..6
ok 1 - passes
not ok 2 - fails <&"
# CHECK( 1 == 2 ) is wrong: 1 == 2
# with: context ]]> of the check
# FILE:LINE: error: Failure!
ok 3 # SKIP is skipped
# needs a moon
not ok 4 - throws
# uncaught exception: boom
not ok 5 - fails after asking for a skip
# CHECK_FALSE( true ) is wrong: true
# FILE:LINE: error: Failure!
ok 6 - crashes if told so
# not ok - reporter_sample
"""
XML = """\
<?xml version="1.0" encoding="UTF-8" ?>
<testsuites>
  <testsuite name="reporter_sample" time="0.000" tests="6" failures="3" errors="0" skipped="1" >
    <testcase name="passes" time="0.000" >
    </testcase>
    <testcase name="fails &lt;&amp;&quot;" time="0.000" >
      <failure><![CDATA[CHECK( 1 == 2 ) is wrong: 1 == 2
with: context ]]]]><![CDATA[> of the check
FILE:LINE: error: Failure!]]></failure>
    </testcase>
    <testcase name="is skipped" time="0.000" >
      <skipped/>
    </testcase>
    <testcase name="throws" time="0.000" >
      <failure><![CDATA[uncaught exception: boom]]></failure>
    </testcase>
    <testcase name="fails after asking for a skip" time="0.000" >
      <failure><![CDATA[CHECK_FALSE( true ) is wrong: true
FILE:LINE: error: Failure!]]></failure>
    </testcase>
    <testcase name="crashes if told so" time="0.000" >
    </testcase>
  </testsuite>
</testsuites>
"""
SUBUNIT = """\
test: passes
success: passes
test: fails <&"
failure: fails <&" [
CHECK( 1 == 2 ) is wrong: 1 == 2
with: context ]]> of the check
FILE:LINE: error: Failure!
]
test: is skipped
skip: is skipped
test: throws
failure: throws [
uncaught exception: boom
]
test: fails after asking for a skip
failure: fails after asking for a skip [
CHECK_FALSE( true ) is wrong: true
FILE:LINE: error: Failure!
]
test: crashes if told so
success: crashes if told so
"""


def sample(message_output, args=(), **env):
    """Runs the sample; returns (status, stdout, stderr) with places and times made neutral."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("CMOCKA_")}
    if message_output is not None:
        clean["CMOCKA_MESSAGE_OUTPUT"] = message_output
    done = subprocess.run([SAMPLE, *args], env={**clean, **env}, capture_output=True, text=True,
                          timeout=60)
    return done.returncode, neutral(done.stdout), neutral(done.stderr)


def neutral(text):
    text = re.sub(r"[^\s>]*reporter_sample\.cc:\d+", "FILE:LINE", text)
    return re.sub(r'time="\d+\.\d{3}"', 'time="0.000"', text)


def check(want, got):
    if want != got:
        raise AssertionError("wanted:\n%s\ngot:\n%s" % (want, got))


def stdout_form():
    check((3, STDOUT, STDERR), sample(None))
    check((3, STDOUT, STDERR), sample("stdout"))
    check((3, STDOUT, STDERR), sample("no such format"))


def tap_form():
    check((3, TAP, ""), sample("tap"))
    check((3, TAP, ""), sample("TAP"))


def subunit_form():
    check((3, SUBUNIT, ""), sample("subunit"))


def xml_form():
    check((3, XML, ""), sample("xml"))


def xml_is_well_formed():
    import xml.etree.ElementTree as tree
    root = tree.fromstring(sample("xml")[1].encode())
    names = [case.get("name") for case in root.iter("testcase")]
    check('fails <&"', names[1])


def two_forms():
    check((3, TAP + XML, ""), sample("tap,xml"))


def xml_file():
    with tempfile.TemporaryDirectory() as scratch:
        pattern = scratch + "/r-%g.xml"
        path = scratch + "/r-reporter_sample.xml"
        check((3, "", ""), sample("xml", CMOCKA_XML_FILE=pattern))
        with open(path, encoding="utf-8") as file:
            check(XML, neutral(file.read()))
        # A file that is there is never written over: cmocka then turns to stderr.
        check((3, "", XML), sample("xml", CMOCKA_XML_FILE=pattern))
        check((3, "", XML), sample("xml", CMOCKA_XML_FILE=scratch + "/no/such/dir.xml"))


def filter_changes_plan():
    check((0, "1..1\nok 1 - passes\n# ok - reporter_sample\n", ""),
          sample("tap", args=["--test-case=passes"]))
    check((0, "1..0\n# ok - reporter_sample\n", ""), sample("tap", args=["--test-case=none"]))


def crash_is_seen():
    status, out, _ = sample("tap", SAMPLE_CRASH="1")
    if status == 0 or "not ok 6" not in out or "Test failed with exception" not in out:
        raise AssertionError("status %s:\n%s" % (status, out))


def doctest_queries_work():
    status, out, _ = sample("tap", args=["--list-test-cases"])
    if status != 0 or "is skipped" not in out or "1.." in out:
        raise AssertionError("status %s:\n%s" % (status, out))


TESTS = [stdout_form, tap_form, subunit_form, xml_form, xml_is_well_formed, two_forms, xml_file,
         filter_changes_plan, crash_is_seen, doctest_queries_work]

if __name__ == "__main__":
    print("1..%d" % len(TESTS))
    failed = 0
    for number, test in enumerate(TESTS, 1):
        try:
            test()
            print("ok %d - %s" % (number, test.__name__))
        except Exception as error:  # every failure becomes one TAP line
            failed += 1
            print("not ok %d - %s" % (number, test.__name__))
            print("".join("# %s\n" % line for line in str(error).splitlines()), end="")
    sys.exit(1 if failed else 0)
