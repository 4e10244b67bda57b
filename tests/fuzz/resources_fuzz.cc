// update --resources FILE: read, checked, and turned into what is written into the cgroup's files
// and into systemd's properties.
#include "runtime/plan/limits.h"
#include "runtime/plan/unit.h"
#include "spec/json.h"
#include "spec/validate.h"
#include "tests/fuzz/fuzz.h"

using namespace coracle;
using fuzz::require;

namespace {

const std::vector<std::string> kControllers = {"cpuset",  "cpu",  "io",  "memory",
                                               "hugetlb", "pids", "rdma"};

// The name of a file, or with kCgroupFirstFile of several, one a line.
void require_file(std::string_view file) {
  require(!file.empty() && file.find('/') == file.npos && file.front() != '.',
          "a limit stays in the cgroup's directory", file);
}

void require_property(const plan::UnitProperty& property) {
  require(!property.name.empty() && !property.type.empty(), "a property has name and type");
  const std::vector<std::string_view> strings(property.strings.begin(), property.strings.end());
  require(!plan::unit_value_text(property.type, property.numbers.data(), property.numbers.size(),
                                 strings)
               .empty(),
          "a property has a value", property.name);
}

void read(std::string_view text) {
  const auto document = spec::Document::parse_resources(std::string(text), "resources.json");
  plan::Warnings warnings;
  spec::validate_resources(document.resources(), true, warnings);
  const auto writes = plan::limit_writes(document.resources(), kControllers, warnings);
  fuzz::require_printable(warnings);
  for (const plan::LimitWrite& write : writes) require_file(write.file);
  for (const uint32_t version : {0u, 252u, 257u})
    for (const auto& property : plan::limit_properties(writes, version)) require_property(property);
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::accepts([&] { read(fuzz::text_of(data, size)); });
  return 0;
}
