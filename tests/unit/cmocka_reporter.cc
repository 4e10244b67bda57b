#include "tests/unit/cmocka_reporter.h"

#include <doctest/doctest.h>
#include <strings.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <sstream>
#include <string>
#include <vector>

namespace coracle::tests {
namespace {

constexpr unsigned kStandard = 1;
constexpr unsigned kSubunit = 2;
constexpr unsigned kTap = 4;
constexpr unsigned kXml = 8;

struct Format {
  const char* name;
  unsigned bit;
};
constexpr Format kFormats[] = {{"stdout", kStandard},
                               {"standard", kStandard},
                               {"subunit", kSubunit},
                               {"tap", kTap},
                               {"xml", kXml}};

enum class Status { passed, failed, skipped };

struct Failure {
  std::string message;
  std::string file;
  int line = 0;
};

struct Case {
  std::string name;
  Status status = Status::passed;
  double seconds = 0;
  std::string skip_reason;
  std::vector<Failure> failures;
};

std::string g_group;        // name of the program
std::string g_skip_reason;  // set by note_skip, taken at the end of the test
bool g_skip_asked = false;  //
size_t g_tests = 0;         // number of tests that pass the filters
unsigned g_failed = 0;      // result of the run

unsigned formats_from_environment() {
  const char* text = std::getenv("CMOCKA_MESSAGE_OUTPUT");
  // cmocka ignores a value longer than 32 bytes.
  if (text == nullptr || std::strlen(text) > 32) return kStandard;
  unsigned bits = 0;
  std::string rest = text;
  while (!rest.empty()) {
    size_t comma = std::min(rest.find(','), rest.size());
    std::string word = rest.substr(0, comma);
    for (const Format& format : kFormats) {
      if (strcasecmp(word.c_str(), format.name) == 0) bits |= format.bit;
    }
    rest.erase(0, comma + 1);
  }
  return bits != 0 ? bits : kStandard;
}

// cmocka's two-line form of a failure; the line markers belong to the stdout format only.
std::string words_of(const Case& test, bool markers) {
  std::string out;
  for (const Failure& failure : test.failures) {
    if (!out.empty()) out += '\n';
    out += failure.message;
    if (failure.file.empty()) continue;
    out += markers ? "\n[   LINE   ] --- " : "\n";
    out += failure.file + ":" + std::to_string(failure.line) + ": error: Failure!";
  }
  return out;
}

std::string escape_attribute(const std::string& text) {
  std::string out;
  for (char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return out;
}

// Text for a CDATA section: "]]>" is split over two sections, control characters (not allowed
// in XML 1.0 at all) become '?'.
std::string escape_cdata(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') c = '?';
    out += c;
    if (out.size() >= 3 && out.compare(out.size() - 3, 3, "]]>") == 0) {
      out.replace(out.size() - 3, 3, "]]]]><![CDATA[>");
    }
  }
  return out;
}

void print_comment(const std::string& text) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) std::printf("# %s\n", line.c_str());
}

// TAP reads '#' in a description as the start of a directive.
std::string tap_name(std::string name) {
  std::replace(name.begin(), name.end(), '#', '_');
  std::replace(name.begin(), name.end(), '\n', ' ');
  return name;
}

void end_standard(const Case& test) {
  if (test.status == Status::passed) {
    std::printf("[       OK ] %s\n", test.name.c_str());
  } else if (test.status == Status::skipped) {
    std::printf("[  SKIPPED ] %s\n", test.name.c_str());
  } else {
    std::fflush(stdout);
    std::fprintf(stderr, "[  ERROR   ] --- %s\n", words_of(test, true).c_str());
    std::printf("[  FAILED  ] %s\n", test.name.c_str());
  }
}

void end_subunit(const Case& test) {
  if (test.status == Status::passed) {
    std::printf("success: %s\n", test.name.c_str());
  } else if (test.status == Status::skipped) {
    std::printf("skip: %s\n", test.name.c_str());
  } else {
    std::printf("failure: %s [\n%s\n]\n", test.name.c_str(), words_of(test, false).c_str());
  }
}

void end_tap(const Case& test, size_t number) {
  std::string name = tap_name(test.name);
  if (test.status == Status::passed) {
    std::printf("ok %zu - %s\n", number, name.c_str());
  } else if (test.status == Status::skipped) {
    std::printf("ok %zu # SKIP %s\n", number, name.c_str());
    print_comment(test.skip_reason);
  } else {
    std::printf("not ok %zu - %s\n", number, name.c_str());
    print_comment(words_of(test, false));
  }
}

size_t count(const std::vector<Case>& cases, Status status) {
  return static_cast<size_t>(std::count_if(
      cases.begin(), cases.end(), [status](const Case& test) { return test.status == status; }));
}

void list_standard(const std::vector<Case>& cases, Status status, const char* mark,
                   const char* word) {
  size_t number = count(cases, status);
  if (number == 0) return;
  std::fprintf(stderr, "%s %zu test(s), listed below:\n", mark, number);
  for (const Case& test : cases) {
    if (test.status == status) std::fprintf(stderr, "%s %s\n", mark, test.name.c_str());
  }
  std::fprintf(stderr, "\n %zu %s TEST(S)\n", number, word);
}

void finish_standard(const std::vector<Case>& cases) {
  std::printf("[==========] %zu test(s) run.\n", cases.size());
  std::fflush(stdout);
  std::fprintf(stderr, "[  PASSED  ] %zu test(s).\n", count(cases, Status::passed));
  list_standard(cases, Status::skipped, "[  SKIPPED ]", "SKIPPED");
  list_standard(cases, Status::failed, "[  FAILED  ]", "FAILED");
}

std::string xml_path() {
  const char* pattern = std::getenv("CMOCKA_XML_FILE");
  if (pattern == nullptr) return {};
  std::string path = pattern;
  for (size_t at = 0; (at = path.find("%g", at)) != std::string::npos; at += g_group.size()) {
    path.replace(at, 2, g_group);
  }
  return path;
}

// "wx" makes the test for existence and the creation one step, which cmocka's fopen pair is not.
FILE* open_xml() {
  std::string path = xml_path();
  if (path.empty()) return stdout;
  FILE* file = std::fopen(path.c_str(), "wx");
  return file != nullptr ? file : stderr;
}

void write_xml(FILE* file, const std::vector<Case>& cases) {
  double seconds = 0;
  for (const Case& test : cases) seconds += test.seconds;
  std::fprintf(file,
               "<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\n<testsuites>\n"
               "  <testsuite name=\"%s\" time=\"%.3f\" tests=\"%zu\" failures=\"%zu\" "
               "errors=\"0\" skipped=\"%zu\" >\n",
               escape_attribute(g_group).c_str(), seconds, cases.size(),
               count(cases, Status::failed), count(cases, Status::skipped));
  for (const Case& test : cases) {
    std::fprintf(file, "    <testcase name=\"%s\" time=\"%.3f\" >\n",
                 escape_attribute(test.name).c_str(), test.seconds);
    if (test.status == Status::skipped) std::fprintf(file, "      <skipped/>\n");
    if (test.status == Status::failed) {
      std::fprintf(file, "      <failure><![CDATA[%s]]></failure>\n",
                   escape_cdata(words_of(test, false)).c_str());
    }
    std::fprintf(file, "    </testcase>\n");
  }
  std::fprintf(file, "  </testsuite>\n</testsuites>\n");
}

void finish_xml(const std::vector<Case>& cases) {
  FILE* file = open_xml();
  write_xml(file, cases);
  if (file != stdout && file != stderr) {
    std::fclose(file);
  } else {
    std::fflush(file);
  }
}

std::string words_of(const doctest::AssertData& data) {
  std::string out = std::string(doctest::assertString(data.m_at)) + "( " + data.m_expr + " )";
  if (data.m_threw) {
    out += std::string(" threw: ") + data.m_exception.c_str();
  } else if (data.m_at & (doctest::assertType::is_throws | doctest::assertType::is_throws_as |
                          doctest::assertType::is_throws_with)) {
    out += " did not throw";
  } else {
    out += std::string(" is wrong: ") + data.m_decomp.c_str();
  }
  return out;
}

std::string contexts() {
  std::ostringstream out;
  const auto* const* active = doctest::IReporter::get_active_contexts();
  for (int i = 0; i < doctest::IReporter::get_num_active_contexts(); ++i) {
    out << "\nwith: ";
    active[i]->stringify(&out);
  }
  return out.str();
}

class CmockaReporter : public doctest::IReporter {
 public:
  explicit CmockaReporter(const doctest::ContextOptions&) : formats_(formats_from_environment()) {}

  void report_query(const doctest::QueryData&) override {}

  void test_run_start() override {
    if (formats_ & kStandard) std::printf("[==========] Running %zu test(s).\n", g_tests);
    if (formats_ & kTap) std::printf("1..%zu\n", g_tests);
    std::fflush(stdout);
  }

  void test_run_end(const doctest::TestRunStats&) override {
    bool good = count(cases_, Status::failed) == 0 && cases_.size() == g_tests;
    if (formats_ & kStandard) finish_standard(cases_);
    if (formats_ & kTap) std::printf("# %s - %s\n", good ? "ok" : "not ok", g_group.c_str());
    if (formats_ & kXml) finish_xml(cases_);
    g_failed = static_cast<unsigned>(count(cases_, Status::failed));
    std::fflush(stdout);
  }

  void test_case_start(const doctest::TestCaseData& data) override {
    g_skip_asked = false;
    cases_.emplace_back();
    cases_.back().name = data.m_name;
    if (formats_ & kStandard) std::printf("[ RUN      ] %s\n", data.m_name);
    if (formats_ & kSubunit) std::printf("test: %s\n", data.m_name);
    std::fflush(stdout);
  }

  void test_case_reenter(const doctest::TestCaseData&) override {}

  void test_case_end(const doctest::CurrentTestCaseStats& stats) override {
    Case& test = cases_.back();
    test.seconds = stats.seconds;
    if (!stats.testCaseSuccess) {
      test.status = Status::failed;
      if (test.failures.empty()) test.failures.push_back({"unknown failure", "", 0});
    } else if (g_skip_asked) {
      test.status = Status::skipped;
      test.skip_reason = g_skip_reason;
    }
    if (formats_ & kStandard) end_standard(test);
    if (formats_ & kSubunit) end_subunit(test);
    if (formats_ & kTap) end_tap(test, cases_.size());
    std::fflush(stdout);
  }

  void test_case_exception(const doctest::TestCaseException& error) override {
    std::string words = error.is_crash ? "Test failed with exception: " : "uncaught exception: ";
    add({words + error.error_string.c_str(), "", 0});
  }

  void subcase_start(const doctest::SubcaseSignature& subcase) override {
    subcases_.emplace_back(subcase.m_name.c_str());
  }
  void subcase_end() override {
    if (!subcases_.empty()) subcases_.pop_back();
  }

  void log_assert(const doctest::AssertData& data) override {
    if (!data.m_failed || (data.m_at & doctest::assertType::is_warn)) return;
    add({words_of(data) + contexts(), data.m_file, data.m_line});
  }

  void log_message(const doctest::MessageData& data) override {
    if (data.m_severity & doctest::assertType::is_warn) return;
    add({data.m_string.c_str() + contexts(), data.m_file, data.m_line});
  }

  void test_case_skipped(const doctest::TestCaseData&) override {}

 private:
  void add(Failure failure) {
    std::lock_guard<std::mutex> guard(mutex_);  // asserts may come from several threads
    for (const std::string& name : subcases_) failure.message += "\nin: " + name;
    cases_.back().failures.push_back(std::move(failure));
  }

  unsigned formats_;
  std::mutex mutex_;
  std::vector<Case> cases_;
  std::vector<std::string> subcases_;
};

// Learns how many tests will run: cmocka says so first, doctest never does.
class CountingReporter : public CmockaReporter {
 public:
  using CmockaReporter::CmockaReporter;
  void report_query(const doctest::QueryData& data) override { g_tests = data.num_data; }
};

REGISTER_REPORTER("cmocka", 1, CmockaReporter);
REGISTER_REPORTER("cmocka-count", 1, CountingReporter);

bool asks_doctest(int argc, char** argv) {
  static constexpr const char* kQueries[] = {"-r=",     "--reporters", "-l",   "--list",    "-h",
                                             "-?",      "--help",      "-v",   "--version", "-c",
                                             "--count", "--dt-r",      "-dt-r"};
  for (int i = 1; i < argc; ++i) {
    for (const char* query : kQueries) {
      if (std::strncmp(argv[i], query, std::strlen(query)) == 0) return true;
    }
  }
  return false;
}

void count_tests(int argc, char** argv) {
  std::vector<const char*> args(argv, argv + argc);
  args.push_back("--list-test-cases");  // a flag, which setOption cannot set
  doctest::Context context(static_cast<int>(args.size()), args.data());
  context.addFilter("reporters", "cmocka-count");
  context.run();
}

}  // namespace

void note_skip(const char* reason) {
  g_skip_asked = true;
  g_skip_reason = reason;
}

int run_like_cmocka(int argc, char** argv) {
  if (asks_doctest(argc, argv)) return doctest::Context(argc, argv).run();
  const char* slash = std::strrchr(argv[0], '/');
  g_group = slash != nullptr ? slash + 1 : argv[0];
  count_tests(argc, argv);
  doctest::Context context(argc, argv);
  context.addFilter("reporters", "cmocka");
  context.run();
  return static_cast<int>(std::min(g_failed, 100u));
}

}  // namespace coracle::tests
