// ROOT/ID/state.json: whatever is accepted is written and read back equal, and nothing that it
// names lies outside of what a container may have.
#include "runtime/store/record.h"
#include "tests/fuzz/fuzz.h"

using namespace coracle;
using fuzz::require;

namespace {

void require_path(const std::string& path) {
  require(path.empty() || fuzz::is_clean_absolute(path), "a path is absolute and clean", path);
}

void require_process(const sys::ProcessId& process) {
  require(process.pid >= 0, "a pid is none or positive");
  require(process.pid != 0 || process.start_time == 0, "no process has no start time");
}

void require_sane(const store::Record& record) {
  require_path(record.cgroup_path);
  require_path(record.intel_rdt);
  require_path(record.intel_rdt_group);
  require_path(record.intel_rdt_monitor);
  require(record.bundle.starts_with('/'), "the bundle is absolute", record.bundle);
  require_process(record.process);
  require_process(record.creator);
  require(record.cgroup_path != "/", "the container's cgroup is not the root");
  require(record.unit.find('/') == record.unit.npos, "a unit is no path", record.unit);
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  store::Record record;
  const std::string text(fuzz::text_of(data, size));
  if (!fuzz::accepts([&] { record = store::parse_record(text, "state.json"); })) return 0;
  require_sane(record);
  const std::string written = store::to_json(record);
  require(store::to_json(store::parse_record(written, "state.json")) == written,
          "a record is read back", written);
  return 0;
}
