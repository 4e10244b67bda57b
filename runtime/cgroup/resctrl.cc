#include "runtime/cgroup/resctrl.h"

#include <fcntl.h>
#include <linux/magic.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "runtime/sys/file.h"
#include "spec/error.h"
#include "spec/ids.h"
#include "spec/text.h"

namespace coracle::cgroup {
namespace {

using spec::cat;
using spec::Error;
using sys::At;

constexpr char kUsualPlace[] = "/sys/fs/resctrl";

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \n");
  if (begin == text.npos) return "";
  return text.substr(begin, text.find_last_not_of(" \n") + 1 - begin);
}

std::string parent_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

// A file below info/, which is in the root: the group itself, or one or three levels above it.
bool read_info(const std::string& group, std::string_view name, std::string& text) {
  std::string root = group;
  for (int level = 0; level <= 3; ++level, root = parent_of(root))
    if (sys::read_file(At::cwd(), cat(root, "/info/", name).c_str(), text) == 0) return true;
  return false;
}

[[noreturn]] void fail(const std::string& group, const std::string& what, int error) {
  std::string status;
  const bool known = read_info(group, "last_cmd_status", status) && trimmed(status) != "ok";
  throw Error(known ? cat(what, " (last_cmd_status: ", trimmed(status), ")") : what, error);
}

bool exists(const std::string& path) {
  return static_cast<bool>(sys::open_at(At::cwd(), path.c_str(), O_PATH));
}

// ---- schemata ----------------------------------------------------------------------------------

// "L3:0=7f0;1=1f"
struct Schema {
  std::string_view resource;  // "L3", "MB", "L3CODE", ...
  std::vector<std::pair<uint64_t, std::string_view>> values;
};

Schema parse_schema(std::string_view line) {
  const auto malformed = [&] {
    return Error(cat("malformed: ", spec::quoted(line), ", expected RESOURCE:ID=VALUE;ID=VALUE"));
  };
  const size_t colon = line.find(':');
  if (colon == line.npos) throw malformed();
  Schema schema{trimmed(line.substr(0, colon)), {}};
  for (std::string_view rest = trimmed(line.substr(colon + 1)); !rest.empty();) {
    const size_t end = std::min(rest.find(';'), rest.size());
    const std::string_view entry = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const size_t equals = entry.find('=');
    if (equals == entry.npos) throw malformed();
    const auto id = spec::parse_number(trimmed(entry.substr(0, equals)));
    if (!id) throw malformed();
    schema.values.emplace_back(*id, trimmed(entry.substr(equals + 1)));
  }
  return schema;
}

std::optional<uint64_t> number(std::string_view text, int base) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Bandwidth is decimal, everything else a mask.
bool same_value(std::string_view resource, std::string_view wanted, std::string_view found,
                uint64_t step) {
  const int base = resource == "MB" ? 10 : 16;
  const auto w = number(wanted, base), f = number(found, base);
  if (!w || !f) return wanted == found;
  return *w == *f || (base == 10 && (*w + step - 1) / step * step == *f);
}

void check_line(const Schema& wanted, std::string_view line, std::string_view text, uint64_t step) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view found_line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (trimmed(found_line).empty()) continue;
    const Schema found = parse_schema(found_line);
    if (found.resource != wanted.resource) continue;
    for (const auto& [id, value] : wanted.values) {
      const auto entry = std::find_if(found.values.begin(), found.values.end(),
                                      [id = id](const auto& other) { return other.first == id; });
      if (entry == found.values.end() || !same_value(wanted.resource, value, entry->second, step))
        throw Error(cat("the group exists with other limits: ", spec::quoted(trimmed(found_line)),
                        ", not ", spec::quoted(line)));
    }
    return;
  }
  throw Error(cat("the group exists and has no limits of ", spec::quoted(wanted.resource)));
}

// mountinfo writes blanks and the like as \ooo (proc_pid_mountinfo(5)).
std::string unescaped(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto octal = text[i] == '\\' ? number(text.substr(i + 1, 3), 8) : std::nullopt;
    out += octal ? static_cast<char>(*octal) : text[i];
    if (octal) i += 3;
  }
  return out;
}

}  // namespace

std::string resctrl_in(std::string_view mountinfo) {
  while (!mountinfo.empty()) {
    const size_t end = std::min(mountinfo.find('\n'), mountinfo.size());
    std::string_view line = mountinfo.substr(0, end);
    mountinfo.remove_prefix(std::min(end + 1, mountinfo.size()));
    const size_t separator = line.find(" - ");
    if (separator == line.npos || !line.substr(separator + 3).starts_with("resctrl ")) continue;
    for (int field = 1; field < 5; ++field) line.remove_prefix(line.find(' ') + 1);
    return unescaped(line.substr(0, line.find(' ')));
  }
  return "";
}

std::string find_resctrl() {
  const sys::Fd usual = sys::open_at(At::cwd(), kUsualPlace, O_PATH | O_DIRECTORY);
  uint64_t magic = 0;
  if (usual && sys::file_system_type(usual, magic) == 0 && magic == RDTGROUP_SUPER_MAGIC)
    return kUsualPlace;
  std::string text;
  const int r = sys::read_file(At::cwd(), "/proc/self/mountinfo", text);
  if (r < 0) throw Error("/proc/self/mountinfo", r);
  return resctrl_in(text);
}

bool make_resctrl_group(const std::string& group) {
  const int r = sys::mkdir_at(At::cwd(), group.c_str(), 0755);
  if (r == 0) return true;
  if (r != -EEXIST) fail(group, cat("make resctrl group ", group), r);
  require_resctrl_group(group);
  return false;
}

void make_resctrl_monitor(const std::string& group) {
  const int r = sys::mkdir_at(At::cwd(), group.c_str(), 0755);
  if (r < 0) fail(group, cat("make monitoring group ", group), r);
}

void require_resctrl_group(const std::string& group) {
  if (exists(group + "/tasks")) return;
  if (exists(group)) throw Error(cat(group, " is not a resctrl group"));
  throw Error(
      cat("resctrl group ", group,
          " does not exist: without limits (schemata, l3CacheSchema, memBwSchema) it must"));
}

void write_schemata(const std::string& group, const std::vector<std::string_view>& lines) {
  if (lines.empty()) return;
  std::string text;
  for (std::string_view line : lines) spec::append(text, line, "\n");
  const int r = sys::write_attribute(At::cwd(), (group + "/schemata").c_str(), text);
  if (r < 0)
    fail(group, cat(group, "/schemata: write ", spec::quoted(text.substr(0, text.size() - 1))), r);
}

void check_schemata(const std::string& group, const std::vector<std::string_view>& lines) {
  if (lines.empty()) return;
  const std::string path = group + "/schemata";
  std::string text, step_text;
  const int r = sys::read_file(At::cwd(), path.c_str(), text);
  if (r < 0) throw Error(path, r);
  uint64_t step = 1;
  if (read_info(group, "MB/bandwidth_gran", step_text))
    step = std::max<uint64_t>(1, spec::parse_number(trimmed(step_text)).value_or(1));
  try {
    for (std::string_view line : lines) check_line(parse_schema(line), line, text, step);
  } catch (Error& e) {
    e.wrap(path);
    throw;
  }
}

void add_resctrl_task(const std::string& group, pid_t pid) {
  const std::string path = group + "/tasks";
  const int r = sys::write_attribute(At::cwd(), path.c_str(), std::to_string(pid));
  if (r < 0) fail(group, cat(path, ": process ", pid), r);
}

void remove_resctrl_group(const std::string& group) {
  const int r = sys::rmdir_at(At::cwd(), group.c_str());
  if (r < 0 && r != -ENOENT) fail(group, cat("remove resctrl group ", group), r);
}

}  // namespace coracle::cgroup
