#include "runtime/systemd/manager.h"

#include <signal.h>
#include <stdlib.h>

#include <cerrno>

#include "runtime/sys/process.h"
#include "spec/error.h"
#include "spec/ids.h"
#include "spec/text.h"

namespace coracle::systemd {
namespace {

using plan::UnitProperty;
using spec::cat;
using spec::Error;
using sys::Deadline;
using Properties = std::vector<UnitProperty>;

constexpr char kService[] = "org.freedesktop.systemd1";
constexpr char kObject[] = "/org/freedesktop/systemd1";
constexpr char kManager[] = "org.freedesktop.systemd1.Manager";
constexpr char kUnit[] = "org.freedesktop.systemd1.Unit";
constexpr char kBusService[] = "org.freedesktop.DBus";
constexpr char kUnitExists[] = "org.freedesktop.systemd1.UnitExists";
constexpr char kNoSuchUnit[] = "org.freedesktop.systemd1.NoSuchUnit";

// ---- values --------------------------------------------------------------------------------

// The one argument of most replies and of all errors: a string.
std::string first_string(const Message& m) {
  if (m.signature.empty() || (m.signature[0] != 's' && m.signature[0] != 'o')) return "";
  return std::string(Reader(m.body).string());
}

// What a Get of org.freedesktop.DBus.Properties returns: a variant of a string.
std::string variant_string(const Message& m) {
  if (m.type != MessageType::kReturn || m.signature != "v") return "";
  Reader in(m.body);
  return in.signature() == "s" ? std::string(in.string()) : "";
}

void write_strings(Writer& out, const std::vector<std::string>& strings) {
  const size_t array = out.begin_array(4);
  for (const std::string& string : strings) out.string(string);
  out.end_array(array);
}

void write_pairs(Writer& out, const UnitProperty& p) {
  const size_t array = out.begin_array(8);
  for (size_t i = 0; i < p.strings.size() && i < p.numbers.size(); ++i)
    out.begin_struct().string(p.strings[i]).u64(p.numbers[i]);
  out.end_array(array);
}

void write_bytes(Writer& out, const std::vector<uint64_t>& bytes) {
  const size_t array = out.begin_array(1);
  for (uint64_t byte : bytes) out.u8(static_cast<uint8_t>(byte));
  out.end_array(array);
}

void write_value(Writer& out, const UnitProperty& p) {
  if (p.type == "s") {
    out.string(p.strings.at(0));
  } else if (p.type == "as") {
    write_strings(out, p.strings);
  } else if (p.type == "a(st)") {
    write_pairs(out, p);
  } else if (p.type == "ay") {
    write_bytes(out, p.numbers);
  } else if (p.type == "t" || p.type == "x") {
    out.u64(p.numbers.at(0));
  } else {
    out.u32(static_cast<uint32_t>(p.numbers.at(0)));
  }
}

// a(sv)
void write_properties(Writer& out, const Properties& properties, const std::vector<pid_t>& pids) {
  const size_t array = out.begin_array(8);
  for (const UnitProperty& p : properties) {
    out.begin_struct().string(p.name).signature(p.type);
    write_value(out, p);
  }
  if (!pids.empty()) {
    out.begin_struct().string("PIDs").signature("au");
    const size_t numbers = out.begin_array(4);
    for (pid_t pid : pids) out.u32(static_cast<uint32_t>(pid));
    out.end_array(numbers);
  }
  out.end_array(array);
}

// ---- errors --------------------------------------------------------------------------------

// systemd names the property it stumbles over: "Cannot set property X, or unknown property.",
// "X= value is out of range". It may come from an annotation, whose author wants to be told.
const UnitProperty* named_in(const std::string& words, const Properties& properties) {
  for (const UnitProperty& p : properties) {
    const size_t at = words.find(p.name);
    if (at == words.npos || p.origin.empty()) continue;
    const std::string_view behind = std::string_view(words).substr(at + p.name.size(), 1);
    if (behind.empty() || behind.find_first_of(" =,.") != behind.npos) return &p;
  }
  return nullptr;
}

// Where systemd does not say which: those that did not come from us.
std::string annotations_in(const Properties& properties) {
  std::string out;
  for (const UnitProperty& p : properties) {
    if (!p.origin.starts_with("annotations")) continue;
    spec::append(out, out.empty() ? " (of what was asked by " : ", ", p.origin);
  }
  return out.empty() ? out : out + ")";
}

[[noreturn]] void fail_refused(std::string_view what, const Message& reply,
                               const Properties& properties) {
  std::string words = first_string(reply);
  if (words.empty()) words = reply.error_name;
  const std::string message = cat(what, ": systemd refuses: ", words);
  if (const UnitProperty* p = named_in(words, properties)) throw Error::at(p->origin, message);
  throw Error(message + annotations_in(properties));
}

void check(std::string_view what, const Message& reply, const Properties& properties = {}) {
  if (reply.type == MessageType::kError) fail_refused(what, reply, properties);
}

Bus connect_first(const std::vector<std::string>& addresses, const Deadline& deadline) {
  std::string reasons;
  for (const std::string& address : addresses) {
    try {
      return Bus(address, deadline);
    } catch (const Error& e) {
      spec::append(reasons, reasons.empty() ? "" : "; ", e.what());
    }
  }
  if (addresses.empty()) reasons = "neither DBUS_SESSION_BUS_ADDRESS nor XDG_RUNTIME_DIR is set";
  throw Error(cat("the systemd cgroup manager cannot reach systemd (", reasons,
                  "); without it there is --cgroup-manager cgroupfs"));
}

std::string_view variable(const char* name) {
  const char* value = getenv(name);
  return value == nullptr ? std::string_view() : value;
}

}  // namespace

// ---- where systemd is ------------------------------------------------------------------------

static void add_addresses(std::vector<std::string>& out, std::string_view list) {
  while (!list.empty()) {
    const std::string_view one = list.substr(0, list.find(';'));
    list.remove_prefix(std::min(list.size(), one.size() + 1));
    if (!one.empty()) out.emplace_back(one);
  }
}

std::vector<std::string> bus_addresses(const BusFacts& facts) {
  std::vector<std::string> out;
  add_addresses(out, facts.user ? facts.session_bus_address : facts.system_bus_address);
  if (!facts.user) {
    // Who names a bus does not want another.
    if (!out.empty()) return out;
    out.emplace_back("unix:path=/run/systemd/private");
    out.emplace_back("unix:path=/run/dbus/system_bus_socket");
    return out;
  }
  const std::string directory = !facts.xdg_runtime_dir.empty() ? std::string(facts.xdg_runtime_dir)
                                : facts.uid != 0               ? cat("/run/user/", facts.uid)
                                                               : std::string();
  if (directory.empty()) return out;
  out.push_back(cat("unix:path=", directory, "/bus"));
  out.push_back(cat("unix:path=", directory, "/systemd/private"));
  return out;
}

std::vector<std::string> bus_addresses(bool user, std::string_view recorded) {
  BusFacts facts;
  facts.user = user;
  facts.uid = sys::effective_uid();
  facts.system_bus_address = variable("DBUS_SYSTEM_BUS_ADDRESS");
  facts.session_bus_address = variable("DBUS_SESSION_BUS_ADDRESS");
  facts.xdg_runtime_dir = variable("XDG_RUNTIME_DIR");
  std::vector<std::string> out;
  if (!recorded.empty()) out.emplace_back(recorded);
  for (std::string& address : bus_addresses(facts))
    if (address != recorded) out.push_back(std::move(address));
  return out;
}

bool is_user_manager(uint32_t euid, bool initial_userns) { return euid != 0 || !initial_userns; }

// ---- calls -----------------------------------------------------------------------------------

Manager::Manager(const std::vector<std::string>& addresses, int timeout_ms)
    : Manager(connect_first(addresses, Deadline(timeout_ms)), timeout_ms) {}

Manager::Manager(Bus bus, int timeout_ms) : bus_(std::move(bus)), timeout_ms_(timeout_ms) {
  bus_.want_signal(kManager, "JobRemoved");
}

Message Manager::manager_call(std::string_view member) const {
  Message m;
  m.destination = kService;
  m.path = kObject;
  m.interface = kManager;
  m.member = member;
  return m;
}

Message Manager::get_property(std::string_view path, std::string_view interface,
                              std::string_view name) const {
  Message m;
  m.destination = kService;
  m.path = path;
  m.interface = "org.freedesktop.DBus.Properties";
  m.member = "Get";
  m.signature = "ss";
  m.body = Writer().string(interface).string(name).bytes();
  return m;
}

Facts Manager::facts() {
  const Deadline deadline(timeout_ms_);
  const uint32_t version = bus_.post(get_property(kObject, kManager, "Version"), deadline);
  const uint32_t group = bus_.post(get_property(kObject, kManager, "ControlGroup"), deadline);
  Facts facts;
  const Message first = bus_.wait_reply(version, deadline);
  check("its version", first);
  // "252.39-1~deb12u1", "v258", "252"
  std::string_view text;
  const std::string version_text = variant_string(first);
  text = version_text;
  if (text.starts_with('v')) text.remove_prefix(1);
  text = text.substr(0, text.find_first_not_of("0123456789"));
  facts.version = static_cast<uint32_t>(spec::parse_number(text, UINT32_MAX).value_or(0));
  const Message second = bus_.wait_reply(group, deadline);
  check("its cgroup", second);
  facts.control_group = variant_string(second);
  if (facts.control_group == "/") facts.control_group.clear();
  return facts;
}

// Over a bus, signals come to those who ask for them; systemd's own socket carries them anyhow.
void Manager::subscribe(const Deadline& deadline) {
  if (subscribed_ || bus_.is_private()) return;
  Message match;
  match.destination = kBusService;
  match.path = "/org/freedesktop/DBus";
  match.interface = kBusService;
  match.member = "AddMatch";
  match.signature = "s";
  match.body = Writer()
                   .string(cat("type='signal',sender='", kService, "',interface='", kManager,
                               "',member='JobRemoved'"))
                   .bytes();
  match.flags = kNoReplyExpected;
  bus_.post(std::move(match), deadline);
  Message subscription = manager_call("Subscribe");
  subscription.flags = kNoReplyExpected;
  bus_.post(std::move(subscription), deadline);
  subscribed_ = true;
}

// JobRemoved(u id, o job, s unit, s result) for the job that the reply names; its result.
std::string Manager::wait_job(const Message& started, const Deadline& deadline) {
  const std::string job = first_string(started);
  for (;;) {
    const Message signal = bus_.next_signal(deadline);
    if (signal.signature != "uoss") continue;
    Reader in(signal.body);
    in.u32();
    if (in.string() != job) continue;
    in.string();
    std::string result(in.string());
    if (in.is_good()) return result;
  }
}

Message Manager::call_for_unit(std::string_view member, std::string_view unit,
                               std::string_view mode, const Deadline& deadline) {
  Message m = manager_call(member);
  Writer body;
  body.string(unit);
  m.signature = "s";
  if (!mode.empty()) {
    body.string(mode);
    m.signature += 's';
  }
  m.body = body.bytes();
  return bus_.call(std::move(m), deadline);
}

Message Manager::start_transient(std::string_view unit, const Properties& properties,
                                 const std::vector<pid_t>& pids, const Deadline& deadline) {
  Message m = manager_call("StartTransientUnit");
  Writer body;
  body.string(unit).string("replace");
  write_properties(body, properties, pids);
  body.end_array(body.begin_array(8));  // no auxiliary units
  m.signature = "ssa(sv)a(sa(sv))";
  m.body = body.bytes();
  return bus_.call(std::move(m), deadline);
}

Manager::Start Manager::start_unit(std::string_view unit, const Properties& properties,
                                   const std::vector<pid_t>& pids) {
  const Deadline deadline(timeout_ms_);
  subscribe(deadline);
  Message reply = start_transient(unit, properties, pids, deadline);
  if (reply.error_name == kUnitExists) {
    call_for_unit("ResetFailedUnit", unit, "", deadline);  // if it cannot, the next call tells
    reply = start_transient(unit, properties, pids, deadline);
    if (reply.error_name == kUnitExists) return Start::kExists;
  }
  const std::string what = cat("unit ", unit);
  check(what, reply, properties);
  const std::string result = wait_job(reply, deadline);
  if (result == "done") return Start::kDone;
  throw Error(cat(what, ": systemd could not start it: job ", result, "; `journalctl -u ", unit,
                  "` says more"));
}

void Manager::kill_unit(std::string_view unit) {
  Message m = manager_call("KillUnit");
  m.signature = "ssi";
  m.body = Writer().string(unit).string("all").u32(SIGKILL).bytes();
  const Message reply = bus_.call(std::move(m), Deadline(timeout_ms_));
  if (reply.error_name != kNoSuchUnit) check(cat("kill unit ", unit), reply);
}

void Manager::stop_unit(std::string_view unit) {
  const Deadline deadline(timeout_ms_);
  subscribe(deadline);
  const Message reply = call_for_unit("StopUnit", unit, "replace", deadline);
  if (reply.error_name == kNoSuchUnit) return;
  check(cat("stop unit ", unit), reply);
  wait_job(reply, deadline);
  const Message reset = call_for_unit("ResetFailedUnit", unit, "", deadline);
  if (reset.error_name != kNoSuchUnit) check(cat("forget unit ", unit), reset);
}

void Manager::set_properties(std::string_view unit, const Properties& properties) {
  const Deadline deadline(timeout_ms_);
  Message m = manager_call("SetUnitProperties");
  Writer body;
  body.string(unit).u32(1);  // for this boot
  write_properties(body, properties, {});
  m.signature = "sba(sv)";
  m.body = body.bytes();
  check(cat("unit ", unit), bus_.call(std::move(m), deadline), properties);
  // The answer comes before the deed: systemd writes to cgroups on its next round, before it reads
  // another message.
  bus_.call(get_property(kObject, kManager, "Version"), deadline);
}

void Manager::attach_process(std::string_view unit, pid_t pid) {
  const Deadline deadline(timeout_ms_);
  Message m = manager_call("AttachProcessesToUnit");
  Writer body;
  body.string(unit).string("");
  const size_t pids = body.begin_array(4);
  body.u32(static_cast<uint32_t>(pid));
  body.end_array(pids);
  m.signature = "ssau";
  m.body = body.bytes();
  check(cat("process ", pid, " into unit ", unit), bus_.call(std::move(m), deadline));
}

// Of a unit that is not there systemd tells its name.
std::string Manager::description(std::string_view unit) {
  const Message reply =
      bus_.call(get_property(unit_object_path(unit), kUnit, "Description"), Deadline(timeout_ms_));
  return variant_string(reply);
}

std::string unit_object_path(std::string_view unit) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out = "/org/freedesktop/systemd1/unit/";
  bool first = true;
  for (char c : unit) {
    const bool digit = c >= '0' && c <= '9';
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (letter || (digit && !first)) {
      out.push_back(c);
    } else {
      const auto byte = static_cast<unsigned char>(c);
      spec::append(out, '_', kHex[byte >> 4], kHex[byte & 15]);
    }
    first = false;
  }
  return out;
}

}  // namespace coracle::systemd
