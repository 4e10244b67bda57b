// Configurations for the tests of spec/: a small good one with something added.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "spec/error.h"
#include "spec/json.h"
#include "spec/text.h"
#include "spec/validate.h"

namespace coracle::tests {

// What is added to the parts of a small good configuration; each a list of members.
struct Added {
  std::string_view top = "";
  std::string_view process = "";
  std::string_view linux_section = "";
};

inline std::string config_with(const Added& added) {
  auto more = [](std::string_view members) {
    return members.empty() ? std::string() : spec::cat(",", members);
  };
  return spec::cat(R"({"ociVersion":"1.3.0","root":{"path":"rootfs"})", more(added.top),
                   R"(,"process":{"cwd":"/","args":["sh"])", more(added.process), "}",
                   R"(,"linux":{"namespaces":[{"type":"pid"},{"type":"mount"},{"type":"uts"},)",
                   R"({"type":"ipc"},{"type":"network"}])", more(added.linux_section), "}}");
}

struct Outcome {
  std::string path;   // of the error
  std::string words;  // "" if there was none
  spec::Warnings warnings;
};

// Parses and validates.
inline Outcome check(std::string json) {
  Outcome outcome;
  try {
    auto document = spec::Document::parse_config(std::move(json), "config.json");
    spec::validate(document, outcome.warnings);
  } catch (const spec::Error& error) {
    outcome.path = error.path();
    outcome.words = error.what();
  }
  return outcome;
}

// A configuration that must be refused, and what the refusal must name.
struct Bad {
  Added added;
  std::string_view path;
  std::string_view reason;
};

}  // namespace coracle::tests
