#include "runtime/store/state_document.h"

namespace coracle::store {

spec::State state_of(const Record& record, Status status, std::string_view owner) {
  spec::State state;
  state.id = record.id;
  state.status = status_name(status);
  state.pid = status == Status::kStopped ? 0 : record.process.pid;
  state.bundle = record.bundle;
  state.rootfs = record.rootfs;
  state.created = record.created;
  state.owner = owner;
  for (const auto& [key, value] : record.annotations) state.annotations.emplace_back(key, value);
  return state;
}

}  // namespace coracle::store
