// The systemd unit of a container, from its name to its end: what create, update and delete have
// to do with it. How the processes come into it is told in runtime/systemd/placeholder.h.
#pragma once

#include <string>

#include "runtime/plan/plan.h"
#include "runtime/store/container.h"
#include "runtime/systemd/manager.h"
#include "runtime/systemd/unit_name.h"
#include "spec/spec.h"

namespace coracle::engine {

// A busy systemd may take its time; engines give their runtime minutes.
inline constexpr int kStartTimeoutMs = 30'000;
inline constexpr int kStopTimeoutMs = 10'000;

// Where create begins: the connection, and what it told.
struct UnitPlan {
  systemd::UnitName name;
  std::string cgroup_path;  // below the cgroup2 mount
  std::string description;
  uint32_t version = 0;
};
UnitPlan plan_unit(systemd::Manager& manager, const spec::Spec& spec, const plan::Host& host,
                   std::string_view root, std::string_view id);

// To the systemd that a container's unit is with, whatever environment this command has.
systemd::Manager connect_manager(const store::Record& record, int timeout_ms);

// `update`: the limits as properties of a unit that runs. They are written to its cgroup besides,
// afterwards.
void update_unit(const store::Record& record, const std::vector<plan::LimitWrite>& writes);

// Ends the unit with all that is in it, and removes its cgroup. Without `ask`, or if systemd does
// not answer (a warning), the cgroup is removed all the same, and systemd finds out by itself.
// A unit that a killed create may have made, or somebody else, is left alone unless it bears our
// description. Throws if processes or the cgroup remain.
void remove_unit(const store::Container& container, bool ask);

}  // namespace coracle::engine
