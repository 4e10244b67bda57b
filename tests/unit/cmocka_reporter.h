// Makes a doctest program look like a cmocka program to whoever runs it.
//
// Contract (cmocka 1.1, cmocka.c "New formatter"):
//   CMOCKA_MESSAGE_OUTPUT  stdout (default), tap, xml, subunit; any case; several with commas.
//   CMOCKA_XML_FILE        where xml goes; %g stands for the group's name. A file that exists
//                          already is left alone and the xml goes to stderr; without the
//                          variable it goes to stdout.
//   Exit status            the number of failed tests (cmocka's return value, capped at 100 so
//                          that 256 failures do not read as success).
// One program is one group; its name is the program's name. doctest's own options still work
// (-tc=..., -ltc, --reporters=junit, ...).
//
// Where we differ on purpose: a skipped test is "ok N # SKIP name" (cmocka 1.1.5 printed
// "not ok", corrected in 1.1.6), the reason follows as a TAP comment, and names are escaped in
// xml.
#pragma once

namespace coracle::tests {

// Marks the running test as skipped unless it fails as well; `reason` is copied.
void note_skip(const char* reason);

// Runs every test of the program. Returns the exit status described above.
int run_like_cmocka(int argc, char** argv);

}  // namespace coracle::tests

// Ends the running test as skipped, with a reason, for example that root is missing.
#define SKIP_TEST(reason)                  \
  do {                                     \
    ::coracle::tests::note_skip((reason)); \
    return;                                \
  } while (false)
