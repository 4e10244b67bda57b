// exec --process FILE: read, checked, and planned for a container with and one without a user
// namespace.
#include "runtime/plan/describe.h"
#include "runtime/plan/plan.h"
#include "spec/json.h"
#include "spec/validate.h"
#include "tests/fuzz/fuzz.h"

using namespace coracle;

namespace {

constexpr uint64_t kJoin = 0x6c020000, kUserNamespace = 0x10000000;  // CLONE_NEW*

void plan_for(const spec::Process& process, uint64_t join) {
  plan::Host host;
  host.all_root = true;
  host.cgroup_path = "/a";
  spec::Spec container;
  container.linux.emplace();
  plan::ExecRequest request;
  request.id = "id";
  request.join = join;
  request.preserve_fds = 2;
  plan::Warnings warnings;
  fuzz::accepts([&] {
    const auto block = plan::make_exec(container, process, request, host, warnings);
    fuzz::require(!plan::to_table(plan::View(block.data())).empty(), "a plan has steps");
  });
  fuzz::require_printable(warnings);
}

void read(std::string_view text) {
  const auto document = spec::Document::parse_process(std::string(text), "process.json");
  spec::Warnings warnings;
  spec::validate_process(document.process(), warnings);
  fuzz::require_printable(warnings);
  plan_for(document.process(), kJoin);
  plan_for(document.process(), kJoin | kUserNamespace);
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::accepts([&] { read(fuzz::text_of(data, size)); });
  return 0;
}
