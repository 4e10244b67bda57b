// The small grammars of options and of single strings. The first byte says which.
#include "runtime/plan/mount_options.h"
#include "runtime/systemd/unit_name.h"
#include "spec/ids.h"
#include "spec/text.h"
#include "tests/fuzz/fuzz.h"

using namespace coracle;
using fuzz::require;
using spec::cat;

namespace {

void read_user(std::string_view text) {
  const spec::UserIds ids = spec::parse_user(text);
  const std::string written = ids.gid ? cat(ids.uid, ":", *ids.gid) : cat(ids.uid);
  const spec::UserIds back = spec::parse_user(written);
  require(back.uid == ids.uid && back.gid == ids.gid, "a user is read back", written);
}

void read_number(std::string_view text) {
  const auto number = spec::parse_number(text);
  if (number) require(spec::parse_number(cat(*number)) == number, "a number is read back", text);
}

void read_signal(std::string_view text) {
  const int number = spec::parse_signal(text);
  require(number >= 0 && number <= 64, "a signal is one", text);
  const std::string name = spec::signal_name(number);
  if (!name.empty()) require(spec::parse_signal(name) == number, "a signal is read back", name);
}

void read_list(std::string_view text) {
  const auto ranges = spec::parse_number_list(text);
  if (!ranges) return;
  for (const auto& [first, last] : *ranges)
    require(first <= last && last <= 65535, "a range goes up", text);
}

void read_size(std::string_view text) {
  require(spec::parse_size(text) >= -1, "a size is -1 or more", text);
}

void read_container_id(std::string_view text) {
  spec::check_container_id(text);
  require(fuzz::is_clean_absolute(cat("/", text)), "an id is one name", text);
}

void read_sysctl(std::string_view text) {
  const auto path = spec::sysctl_path(text);
  if (path) require(fuzz::is_clean_absolute(cat("/", *path)), "a sysctl stays below", *path);
}

void read_version(std::string_view text) { spec::parse_version(text); }

void read_names(std::string_view text) {
  const auto capability = spec::capability_number(text);
  if (capability) require(spec::capability_name(*capability) == text, "a name is read back", text);
  const auto rlimit = spec::rlimit_number(text);
  if (rlimit) require(spec::rlimit_name(*rlimit) == text, "a name is read back", text);
  if (spec::is_interface_name(text)) require(text.size() <= 15, "an interface's name is short");
}

void read_cgroup_path(std::string_view text) {
  if (!spec::is_cgroup_path(text)) return;
  require(cat("/", text, "/").find("/../") == std::string::npos, "a cgroup stays below", text);
}

void read_unit(std::string_view text) {
  const systemd::UnitName unit = systemd::settle_unit(text, "id", false);
  require(unit.unit.find('/') == std::string::npos, "a unit is no path", unit.unit);
  require(fuzz::is_clean_absolute(unit.path), "a unit's cgroup is a clean path", unit.path);
}

void read_text(std::string_view text) {
  fuzz::require_printable(spec::quoted(text));
  const std::string utf8 = spec::to_utf8(text);
  require(spec::find_invalid_utf8(utf8) == utf8.size(), "the result is UTF-8");
  require(spec::to_utf8(utf8) == utf8, "UTF-8 stays as it is");
  const std::string clean = spec::clean_path(text);
  require(spec::clean_path(clean) == clean, "a clean path stays as it is", clean);
}

void read_mount_options(std::string_view text) {
  spec::Mount mount;
  mount.destination = "/a";
  mount.source = "/b";
  mount.type = "tmpfs";
  while (!text.empty()) {
    const std::string_view option = text.substr(0, text.find(','));
    mount.options.push_back(option);
    text.remove_prefix(std::min(text.size(), option.size() + 1));
  }
  plan::parse_mount_options(mount, "mounts[0]");
}

constexpr void (*kReaders[])(std::string_view) = {
    read_user,         read_number, read_signal,        read_list,  read_size,
    read_container_id, read_sysctl, read_version,       read_names, read_cgroup_path,
    read_unit,         read_text,   read_mount_options,
};

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text = fuzz::text_of(data, size);
  const auto reader = kReaders[fuzz::take_choice(text, std::size(kReaders))];
  const std::string copy(text);  // views into it are C strings, as everywhere
  fuzz::accepts([&] { reader(copy); });
  return 0;
}
