#include "shim/containerd/options.h"

#include "runtime/sys/file.h"
#include "runtime/sys/protobuf.h"
#include "spec/ids.h"
#include "spec/text.h"

namespace coracle::shim {

using spec::cat;
using sys::ProtoReader;
using Warnings = std::vector<std::string>;

namespace {

// One setting, by its number in the message, that in the message of old (0: not there), and its
// name in TOML; one of the members is set, or none: then it is not ours. Where a checkpoint is and
// which other shim serves the task containerd reads for itself, and tells us in Create.
struct Setting {
  uint32_t field;
  uint32_t old_field;
  std::string_view name;
  bool Options::*flag = nullptr;
  uint32_t Options::*number = nullptr;
  std::string Options::*text = nullptr;
};
constexpr Setting kSettings[] = {
    {.field = 1, .old_field = 1, .name = "NoPivotRoot", .flag = &Options::no_pivot_root},
    {.field = 2, .old_field = 8, .name = "NoNewKeyring", .flag = &Options::no_new_keyring},
    {.field = 3, .old_field = 9, .name = "ShimCgroup", .text = &Options::shim_cgroup},
    {.field = 4, .old_field = 10, .name = "IoUid", .number = &Options::io_uid},
    {.field = 5, .old_field = 11, .name = "IoGid", .number = &Options::io_gid},
    {.field = 7, .old_field = 0, .name = "Root", .text = &Options::root},
    {.field = 9, .old_field = 0, .name = "SystemdCgroup", .flag = &Options::systemd_cgroup},
    {.field = 10, .old_field = 13, .name = "CriuImagePath"},
    {.field = 11, .old_field = 12, .name = "CriuWorkPath", .text = &Options::criu_work_path},
    {.field = 12, .old_field = 0, .name = "TaskApiAddress"},
    {.field = 13, .old_field = 0, .name = "TaskApiVersion"},
};

// Settings that say where programs are; what is done with them is in the words.
struct Program {
  uint32_t field;
  uint32_t old_field;
  std::string_view name;
  std::string_view words;
};
constexpr Program kPrograms[] = {
    {.field = 6, .old_field = 0, .name = "BinaryName", .words = "the shim is the runtime"},
    {.field = 8, .old_field = 0, .name = "CriuPath", .words = "criu is looked for in $PATH"},
};

void warn_of(const Program& program, std::string_view value, Warnings& warnings) {
  if (value.empty()) return;
  warnings.push_back(
      cat("option ", program.name, " ", spec::quoted(value), " is ignored: ", program.words));
}

Options parse_message(std::string_view bytes, uint32_t Setting::*field, uint32_t Program::*path,
                      Warnings& warnings) {
  Options out;
  ProtoReader in(bytes);
  while (in.next()) {
    for (const Program& program : kPrograms)
      if (program.*path == in.field()) warn_of(program, in.bytes(), warnings);
    for (const Setting& setting : kSettings) {
      if (setting.*field != in.field()) continue;
      if (setting.flag) out.*setting.flag = in.number() != 0;
      if (setting.number) out.*setting.number = static_cast<uint32_t>(in.number());
      if (setting.text) out.*setting.text = in.bytes();
    }
  }
  if (!in.ok()) throw Refusal(ttrpc::Code::kInvalidArgument, "malformed runtime options");
  return out;
}

// ---- TOML: lines of "Name = value", as far as these settings need it ---------------------------

std::string_view trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r");
  if (begin == text.npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

// The value without quotes or comment. Escapes do not occur in paths that anybody has.
std::string_view toml_value(std::string_view text) {
  text = trim(text);
  if (text.starts_with('"') || text.starts_with('\'')) {
    const size_t end = text.find(text.front(), 1);
    return text.substr(1, end == text.npos ? text.npos : end - 1);
  }
  return trim(text.substr(0, text.find('#')));
}

bool assign(Options& out, const Setting& setting, std::string_view value) {
  if (!setting.text && !setting.flag && !setting.number) return true;
  if (setting.text) {
    out.*setting.text = value;
    return true;
  }
  if (setting.flag) {
    out.*setting.flag = value == "true";
    return value == "true" || value == "false";
  }
  const auto number = spec::parse_number(value, UINT32_MAX);
  out.*setting.number = static_cast<uint32_t>(number.value_or(0));
  return number.has_value();
}

void parse_line(std::string_view line, Options& out, Warnings& warnings) {
  const size_t equals = line.find('=');
  const std::string_view name = trim(line.substr(0, equals));
  if (equals == line.npos || name.empty() || name.front() == '#' || name.front() == '[') return;
  const std::string_view value = toml_value(line.substr(equals + 1));
  for (const Program& program : kPrograms)
    if (program.name == name) return warn_of(program, value, warnings);
  for (const Setting& setting : kSettings) {
    if (setting.name != name) continue;
    if (!assign(out, setting, value))
      warnings.push_back(cat("runtime option ", name, ": bad value ", spec::quoted(value)));
    return;
  }
  warnings.push_back(cat("unknown runtime option ", spec::quoted(name)));
}

Options parse_toml(std::string_view text, Warnings& warnings) {
  Options out;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    parse_line(text.substr(0, end), out, warnings);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

Options parse_generic(std::string_view bytes, Warnings& warnings) {
  std::string path, body;
  ProtoReader in(bytes);
  while (in.next()) {
    if (in.field() == 2) path = in.bytes();
    if (in.field() == 3) body = in.bytes();
  }
  if (!in.ok()) throw Refusal(ttrpc::Code::kInvalidArgument, "malformed runtime options");
  if (body.empty() && !path.empty()) {
    constexpr size_t kLimit = 1 << 20;
    const int r = sys::read_regular_file(sys::At::cwd(), path.c_str(), body, kLimit);
    if (r) throw spec::Error(cat("runtime options ", path), r);
  }
  return parse_toml(body, warnings);
}

}  // namespace

Options parse_options(const Any& any, Warnings& warnings) {
  if (any.type.empty()) return {};
  if (any.type == "containerd.runc.v1.Options")
    return parse_message(any.value, &Setting::field, &Program::field, warnings);
  if (any.type == "containerd.linux.runc.CreateOptions")
    return parse_message(any.value, &Setting::old_field, &Program::old_field, warnings);
  if (any.type.ends_with("runtimeoptions.v1.Options")) return parse_generic(any.value, warnings);
  warnings.push_back(cat("runtime options of unknown type ", spec::quoted(any.type)));
  return {};
}

CheckpointOptions parse_checkpoint_options(const Any& any) {
  CheckpointOptions out;
  if (any.type.empty()) return out;
  if (any.type != "containerd.runc.v1.CheckpointOptions" &&
      any.type != "containerd.linux.runc.CheckpointOptions") {
    throw Refusal(ttrpc::Code::kInvalidArgument,
                  cat("checkpoint options of unknown type ", spec::quoted(any.type)));
  }
  const uint32_t work_path = any.type == "containerd.runc.v1.CheckpointOptions" ? 9 : 8;
  ProtoReader in(any.value);
  while (in.next()) {
    if (in.field() == 1) out.exit = in.number() != 0;
    if (in.field() == 2) out.open_tcp = in.number() != 0;
    if (in.field() == 3) out.external_unix_sockets = in.number() != 0;
    if (in.field() == 4) out.terminal = in.number() != 0;
    if (in.field() == 5) out.file_locks = in.number() != 0;
    if (in.field() == 6) out.empty_namespaces.emplace_back(in.bytes());
    if (in.field() == 7) out.cgroups_mode = in.bytes();
    if (in.field() == work_path) out.work_path = in.bytes();
  }
  if (!in.ok()) throw Refusal(ttrpc::Code::kInvalidArgument, "malformed checkpoint options");
  return out;
}

}  // namespace coracle::shim
