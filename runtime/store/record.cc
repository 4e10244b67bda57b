#include "runtime/store/record.h"

#include "spec/error.h"
#include "spec/json.h"
#include "spec/json_write.h"
#include "spec/text.h"

namespace coracle::store {
namespace {

constexpr std::string_view kPhases[] = {"creating", "created", "stopping"};

// Readers of this format refuse one they do not know; keys may be added without a new number.
constexpr int kFormat = 1;

// As on disk: the phase is a word, processes are objects.
struct Stored {
  Record record;
  int format = 0;
  std::string phase;
  spec::Map<std::string> annotations;
};

}  // namespace
}  // namespace coracle::store

template <>
struct coracle::spec::Fields<coracle::sys::ProcessId> {
  static constexpr Field kTable[] = {
      field<&sys::ProcessId::pid>("pid", kRequired),
      field<&sys::ProcessId::start_time>("startTime", kRequired),
  };
};

template <>
struct coracle::spec::Fields<coracle::store::Record> {
  using Record = store::Record;
  static constexpr Field kTable[] = {
      field<&Record::id>("id", kRequired),
      field<&Record::bundle>("bundle", kRequired),
      field<&Record::rootfs>("rootfs"),
      field<&Record::process>("process"),
      field<&Record::creator>("creator"),
      field<&Record::boot_id>("bootID", kRequired),
      field<&Record::cgroup_path>("cgroupPath"),
      field<&Record::cgroup_manager>("cgroupManager"),
      field<&Record::unit>("systemdUnit"),
      field<&Record::bus>("systemdBus"),
      field<&Record::shim>("shim"),
      field<&Record::created>("created", kRequired),
      field<&Record::owner>("owner", kRequired),
      field<&Record::rootless>("rootless"),
      field<&Record::checkpointed>("checkpointed"),
      field<&Record::terminal>("terminal"),
      field<&Record::namespaces>("namespaces"),
      field<&Record::own_pids>("ownPids"),
      field<&Record::rootfs_mount>("rootfsMount"),
      field<&Record::intel_rdt>("intelRdt"),
      field<&Record::intel_rdt_group>("intelRdtGroup"),
      field<&Record::intel_rdt_monitor>("intelRdtMonitor"),
  };
};

template <>
struct coracle::spec::Fields<coracle::store::Stored> {
  using Stored = store::Stored;
  static constexpr Field kTable[] = {
      field<&Stored::format>("format", kRequired),
      field<&Stored::phase>("phase", kRequired),
      field<&Stored::annotations>("annotations"),
  };
};

namespace coracle::store {
namespace {

Phase phase_of(std::string_view name) {
  for (size_t i = 0; i < std::size(kPhases); ++i) {
    if (kPhases[i] == name) return static_cast<Phase>(i);
  }
  throw spec::Error::at("phase", spec::cat("unknown: ", spec::quoted(name)));
}

void add(spec::JsonWriter& json, std::string_view key, const sys::ProcessId& id) {
  if (id.pid == 0) return;
  json.key(key).begin_object().add("pid", id.pid).add("startTime", id.start_time).end_object();
}

}  // namespace

std::string_view phase_name(Phase phase) { return kPhases[static_cast<size_t>(phase)]; }

std::string to_json(const Record& record) {
  spec::JsonWriter json(spec::JsonStyle::kCompact);
  json.begin_object();
  json.add("format", kFormat);
  json.add("phase", phase_name(record.phase));
  json.add("id", record.id);
  json.add("bundle", record.bundle);
  json.add("rootfs", record.rootfs);
  add(json, "process", record.process);
  add(json, "creator", record.creator);
  json.add("bootID", record.boot_id);
  json.add("cgroupPath", record.cgroup_path);
  json.add("cgroupManager", record.cgroup_manager);
  if (!record.unit.empty()) json.add("systemdUnit", record.unit).add("systemdBus", record.bus);
  if (!record.shim.empty()) json.add("shim", record.shim);
  json.add("created", record.created);
  json.add("owner", record.owner);
  json.add("rootless", record.rootless);
  if (record.checkpointed) json.add("checkpointed", true);
  json.add("terminal", record.terminal);
  json.add("namespaces", record.namespaces);
  json.add("ownPids", record.own_pids);
  if (record.rootfs_mount != 0) json.add("rootfsMount", record.rootfs_mount);
  if (!record.intel_rdt.empty()) json.add("intelRdt", record.intel_rdt);
  if (!record.intel_rdt_group.empty()) json.add("intelRdtGroup", record.intel_rdt_group);
  if (!record.intel_rdt_monitor.empty()) json.add("intelRdtMonitor", record.intel_rdt_monitor);
  if (!record.annotations.empty()) json.key("annotations").object(record.annotations);
  json.end_object();
  return json.take() + "\n";
}

Record parse_record(std::string text, std::string_view file) {
  spec::Text document(std::move(text), file);
  Stored stored;
  document.visit(
      [](const spec::Value& root, void* out) {
        Stored& s = *static_cast<Stored*>(out);
        spec::read(root, s);
        if (s.format != kFormat) throw spec::Error::at("format", "made by another version");
        spec::read(root, s.record);
        s.record.phase = phase_of(s.phase);
        check(s.record);
      },
      &stored);
  for (auto& [key, value] : stored.annotations) {
    stored.record.annotations.emplace_back(key, std::move(value));
  }
  return std::move(stored.record);
}

}  // namespace coracle::store
