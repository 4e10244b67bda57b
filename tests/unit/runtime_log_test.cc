#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <string>

#include "runtime/log.h"
#include "runtime/sys/file.h"
#include "tests/unit/temporary_directory.h"

using coracle::tests::TemporaryDirectory;
namespace log = coracle::log;
namespace sys = coracle::sys;

namespace {

std::string contents(const std::string& path) {
  std::string text;
  sys::read_file(sys::At::cwd(), path.c_str(), text);
  return text;
}

// Runs `action` with stderr in a file and returns what it wrote there.
template <class Action>
std::string standard_error_of(const TemporaryDirectory& dir, Action action) {
  std::string path = dir.path() + "/stderr";
  int saved = dup(STDERR_FILENO);
  int file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  dup2(file, STDERR_FILENO);
  action();
  dup2(saved, STDERR_FILENO);
  close(saved);
  close(file);
  log::configure({});
  return contents(path);
}

size_t count(const std::string& text, char c) {
  size_t n = 0;
  for (char each : text) n += each == c;
  return n;
}

}  // namespace

TEST_CASE("log: a JSON record has level, msg and time, on one line") {
  CHECK(log::format_record(true, log::Level::kError, "a \"b\"\nc", "T") ==
        "{\"level\":\"error\",\"msg\":\"a \\\"b\\\"\\nc\",\"time\":\"T\"}\n");
  CHECK(log::format_record(true, log::Level::kWarning, "", "T") ==
        "{\"level\":\"warning\",\"msg\":\"\",\"time\":\"T\"}\n");
}

TEST_CASE("log: a JSON record is JSON whatever a path holds") {
  std::string record = log::format_record(true, log::Level::kError, "x\xff\x01y", "T");
  CHECK(record.find('\xff') == record.npos);
  CHECK(record.find('\x01') == record.npos);
}

TEST_CASE("log: a text record is one line too") {
  CHECK(log::format_record(false, log::Level::kError, "a\nb", "T") ==
        "time=\"T\" level=error msg=\"a\\x0ab\"\n");
}

TEST_CASE("log: a failure is one record in the file and the same words on stderr") {
  TemporaryDirectory dir;
  std::string file = dir.path() + "/log";
  std::string printed = standard_error_of(dir, [&] {
    log::configure({file, true, log::Level::kWarning});
    log::failure("it broke");
  });
  CHECK(printed == "it broke\n");
  std::string record = contents(file);
  CHECK(count(record, '\n') == 1);
  CHECK(record.starts_with("{\"level\":\"error\",\"msg\":\"it broke\",\"time\":\"20"));
}

TEST_CASE("log: without a file a failure is said once") {
  TemporaryDirectory dir;
  CHECK(standard_error_of(dir, [] { log::failure("it broke"); }) == "it broke\n");
}

TEST_CASE("log: without a file and with JSON, stderr gets the record") {
  TemporaryDirectory dir;
  const std::string printed = standard_error_of(dir, [] {
    log::configure({"", true});
    log::failure("it\nbroke");
  });
  CHECK(printed.starts_with("{\"level\":\"error\",\"msg\":\"it\\nbroke\",\"time\":\"20"));
  CHECK(count(printed, '\n') == 1);
}

TEST_CASE("log: nothing in a failure's words steers the terminal") {
  TemporaryDirectory dir;
  const std::string printed =
      standard_error_of(dir, [] { log::failure("a\nb\x1b[31m\x7f \xc2\x9b \xc3\xa4 \xff \"\\"); });
  CHECK(printed == "a\\x0ab\\x1b[31m\\x7f \\xc2\\x9b \xc3\xa4 \\xff \"\\\n");
}

TEST_CASE("log: a failure is told even if the log cannot be written") {
  TemporaryDirectory dir;
  std::string printed = standard_error_of(dir, [&] {
    log::configure({dir.path() + "/no/such/log", true, log::Level::kWarning});
    log::failure("it broke");
  });
  CHECK(printed.ends_with("it broke\n"));
}

TEST_CASE("log: records are appended, and only those of the level asked for") {
  TemporaryDirectory dir;
  std::string file = dir.path() + "/log";
  std::string printed = standard_error_of(dir, [&] {
    log::configure({file, true, log::Level::kWarning});
    log::debug("d");
    log::info("i");
    log::warning("w");
    CHECK_FALSE(log::enabled(log::Level::kDebug));
    log::configure({file, true, log::Level::kDebug});
    log::debug("d");
    log::configure({file, true, log::Level::kError});
    log::warning("w");
  });
  CHECK(printed == "");
  CHECK(count(contents(file), '\n') == 2);
}

TEST_CASE("log: warnings without a file go to stderr") {
  TemporaryDirectory dir;
  std::string printed = standard_error_of(dir, [] { log::warning("careful"); });
  CHECK(printed.find("level=warning msg=\"careful\"\n") != printed.npos);
}

TEST_CASE("log: a journal record is in the native form, whatever the words hold") {
  const std::string record = log::journal_record("me", log::Level::kError, "a\nb=c");
  CHECK(record ==
        std::string("PRIORITY=3\nSYSLOG_IDENTIFIER=me\nMESSAGE\n\5\0\0\0\0\0\0\0a\nb=c\n", 54));
  CHECK(log::journal_record("me", log::Level::kDebug, "").substr(0, 11) == "PRIORITY=7\n");
}

TEST_CASE("log: a syslog record has facility daemon and the severity") {
  CHECK(log::syslog_record("me", log::Level::kWarning, "x y") == "<28>me: x y");
  CHECK(log::syslog_record("me", log::Level::kInfo, "") == "<30>me: ");
}

TEST_CASE("log: where the service is not there, the words go to stderr") {
  TemporaryDirectory dir;
  const std::string said = standard_error_of(dir, [] {
    log::Settings settings;
    settings.sink = log::Sink::kJournal;
    settings.name = "me";
    log::configure(settings);
    log::warning("careful");
  });
  const bool has_journal = access("/run/systemd/journal/socket", F_OK) == 0;
  CHECK((has_journal || said.find("careful") != said.npos));
}
