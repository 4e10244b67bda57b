// systemd as the maker of containers' cgroups: transient units through its D-Bus interface
// (org.freedesktop.systemd1(5)). Each function is one act with its own end of waiting, and throws
// spec::Error when systemd refuses or does not answer by then.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/plan/unit.h"
#include "runtime/systemd/bus.h"

namespace coracle::systemd {

// What the way to systemd depends on; a struct so that the rule can be tested.
struct BusFacts {
  bool user = false;                     // a user's own systemd, not the machine's
  uint32_t uid = 0;                      // effective
  std::string_view system_bus_address;   // $DBUS_SYSTEM_BUS_ADDRESS, or ""
  std::string_view session_bus_address;  // $DBUS_SESSION_BUS_ADDRESS, or ""
  std::string_view xdg_runtime_dir;      // $XDG_RUNTIME_DIR, or ""
};

// The addresses to try, in this order. What the environment names comes first. Then, for root,
// systemd's own socket, which needs no bus to be up and spares the way through it, then the
// system's bus; for a user the bus in the runtime directory, then his systemd's own socket there.
std::vector<std::string> bus_addresses(const BusFacts& facts);
// The same for this process. `recorded`: where a container's unit was made, or ""; it comes first,
// for later commands may have another environment.
std::vector<std::string> bus_addresses(bool user, std::string_view recorded = {});

// Whether a caller with these ids talks to a user's own systemd: everybody but real root.
bool is_user_manager(uint32_t euid, bool initial_userns);

struct Facts {
  uint32_t version = 0;       // 252
  std::string control_group;  // "" or "/user.slice/.../user@1000.service": below it lie all units
};

class Manager {
 public:
  // The first of the addresses that answers. Throws, naming all, if none does.
  Manager(const std::vector<std::string>& addresses, int timeout_ms);
  explicit Manager(Bus bus, int timeout_ms);

  const std::string& address() const { return bus_.address(); }
  Facts facts();

  enum class Start {
    kDone,
    kExists,  // there is a unit of this name, and it is in use
  };
  // Starts a transient unit and waits until systemd has done it. `pids` become its first processes.
  // A failed unit of that name from before is forgotten first.
  Start start_unit(std::string_view unit, const std::vector<plan::UnitProperty>& properties,
                   const std::vector<pid_t>& pids);

  // SIGKILL to all that is in the unit. One that is not there is no error.
  void kill_unit(std::string_view unit);

  // Stops the unit, waits for it, and has systemd forget it. One that is not there is no error.
  void stop_unit(std::string_view unit);

  // For a unit that runs, until the next boot. When this returns, the new values are in its cgroup.
  void set_properties(std::string_view unit, const std::vector<plan::UnitProperty>& properties);

  // Moves a process into the unit's cgroup (one of which we may not write to ourselves).
  void attach_process(std::string_view unit, pid_t pid);

  // Description= of the unit; "" if there is no such unit.
  std::string description(std::string_view unit);

 private:
  Message manager_call(std::string_view member) const;
  Message get_property(std::string_view path, std::string_view interface,
                       std::string_view name) const;
  void subscribe(const sys::Deadline& deadline);
  Message call_for_unit(std::string_view member, std::string_view unit, std::string_view mode,
                        const sys::Deadline& deadline);
  Message start_transient(std::string_view unit, const std::vector<plan::UnitProperty>& properties,
                          const std::vector<pid_t>& pids, const sys::Deadline& deadline);
  std::string wait_job(const Message& started, const sys::Deadline& deadline);

  Bus bus_;
  int timeout_ms_;
  bool subscribed_ = false;
};

// The object path of a unit: "/org/freedesktop/systemd1/unit/a_2eb_2escope".
std::string unit_object_path(std::string_view unit);

}  // namespace coracle::systemd
