#include "runtime/plan/describe.h"

#include <cstdio>

#include "runtime/plan/namespaces.h"
#include "runtime/plan/unit.h"
#include "spec/ids.h"
#include "spec/json_write.h"
#include "spec/text.h"

namespace coracle::plan {

using spec::append;
using spec::cat;
using spec::quoted;

std::string_view step_name(Op op) {
  static constexpr std::string_view kNames[] = {
#define X(name, text) text,
      CORACLE_STEPS(X)
#undef X
  };
  return op < Op::kCount ? kNames[static_cast<size_t>(op)] : "unknown step";
}

std::string_view call_name(Call call) {
  static constexpr std::string_view kNames[] = {
#define X(name) #name,
      CORACLE_CALLS(X)
#undef X
  };
  if (call == Call::k_none || call >= Call::kCount) return "";
  return kNames[static_cast<size_t>(call)];
}

namespace {

std::string hex(uint64_t value) {
  char text[20];
  const auto end = std::to_chars(text, text + sizeof(text), value, 16);
  return cat("0x", std::string_view(text, static_cast<size_t>(end.ptr - text)));
}

std::string octal(uint32_t mode) {
  char text[16];
  const auto end = std::to_chars(text, text + sizeof(text), mode, 8);
  return cat("0", std::string_view(text, static_cast<size_t>(end.ptr - text)));
}

std::string attrs_text(const View& v, List attrs) {
  std::string out;
  for (uint32_t i = 0; i < attrs.count; ++i) {
    const SetAttr& a = v.list<SetAttr>(attrs)[i];
    append(out, i ? " " : "", "[");
    if (a.set) append(out, "+", hex(a.set));
    if (a.clr) append(out, "-", hex(a.clr));
    if (a.propagation) append(out, " propagation ", hex(a.propagation));
    if (a.userns >= 0) append(out, " idmap slot ", a.userns);
    append(out, a.recursive ? " recursive]" : "]");
  }
  return out;
}

std::string options_text(const View& v, List options) {
  std::string out;
  for (uint32_t i = 0; i < options.count; ++i) {
    const FsOption& o = v.list<FsOption>(options)[i];
    append(out, i ? "," : "", v.str(o.key));
    if (o.value.off) append(out, "=", v.str(o.value));
  }
  return out;
}

// "a, b" of a list of 0-terminated offsets.
std::string strings_text(const View& v, List list) {
  std::string out;
  for (uint32_t i = 0; i + 1 < list.count; ++i)
    append(out, i ? " " : "", quoted(v.str({static_cast<uint32_t>(v.list<uint64_t>(list)[i])})));
  return out;
}

std::string flags_text(uint64_t namespaces) {
  std::string out;
  for (const NamespaceType& type : kNamespaces)
    if ((namespaces & type.flag) != 0) append(out, out.empty() ? "" : ",", type.name);
  return out;
}

std::string text(const View& v, const CgroupMake& p) { return std::string(v.str(p.path)); }
std::string text(const View& v, const SetUnitProperty& p) {
  std::vector<std::string_view> strings;
  for (uint32_t i = 0; i < p.strings.count; ++i)
    strings.push_back(v.str(v.list<Ref>(p.strings)[i]));
  return cat(v.str(p.name), " = ",
             unit_value_text(v.str(p.type), v.list<uint64_t>(p.numbers), p.numbers.count, strings));
}
std::string text(const View& v, const StartUnit& p) {
  return cat(v.str(p.unit), " at ", v.str(p.path));
}
std::string text(const View& v, const CgroupWrite& p) {
  return cat(v.str(p.file), " = ", quoted(v.str(p.value)));
}
std::string text(const View&, const CgroupDevices& p) {
  return cat(p.instructions.count, " instructions");
}
std::string text(const View&, const CgroupDelegate& p) { return cat("to ", p.uid, ":", p.gid); }
std::string text(const View& v, const CgroupLeaf& p) {
  return cat(v.str(p.path), " to ", p.uid, ":", p.gid);
}
std::string text(const View& v, const IdmapUserns& p) {
  return cat("slot ", p.slot, " ", quoted(v.str(p.uid_map)));
}
std::string text(const View& v, const OpenNamespace& p) {
  return cat(namespace_name(p.nstype), " ", quoted(v.str(p.path)), " slot ", p.slot);
}
std::string text(const View&, const Clone& p) {
  std::string out = p.namespaces != 0 ? cat("new ", flags_text(p.namespaces)) : "";
  if (p.flags & kCloneIntoCgroup) out += out.empty() ? "into the cgroup" : " into the cgroup";
  return out;
}
std::string text(const View&, const ProcContexts& p) {
  return cat(p.slots.count, " in the pid namespace of slot ", p.pids);
}
std::string text(const View&, const Join& p) {
  return cat(flags_text(p.nstype), " of slot ", p.slot);
}
std::string text(const View&, const Unshare& p) { return flags_text(p.namespaces); }
std::string text(const View&, const Dumpable& p) { return p.on != 0 ? "on" : "off"; }
std::string text(const View& v, const TimeOffsets& p) { return quoted(v.str(p.text)); }
std::string text(const View&, const BecomeRoot& p) {
  return cat("or ", p.uid, ":", p.gid, " where root is not mapped");
}
std::string text(const View&, const Fork& p) {
  return p.namespaces != 0 ? cat("new ", flags_text(p.namespaces)) : "into the pid namespace";
}
std::string text(const View& v, const IdMaps& p) { return quoted(v.str(p.uid_map)); }
std::string text(const View&, const Meet&) { return "wait for the other side"; }
std::string text(const View&, const Hooks& p) {
  static constexpr std::string_view kKinds[] = {
      "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"};
  return std::string(kKinds[p.kind]);
}
std::string text(const View& v, const NetDevice& p) {
  const std::string_view name = v.str(p.new_name);
  return cat(quoted(v.str(p.name)), name.empty() ? "" : " as ", name.empty() ? "" : quoted(name));
}
std::string text(const View& v, const IntelRdt& p) {
  std::string out(v.str(p.group));
  for (const List list : {p.limits, p.schemata})
    for (uint32_t i = 0; i < list.count; ++i) append(out, " ", quoted(v.str(v.list<Ref>(list)[i])));
  if (p.flags & kRdtMustExist) out += " must exist";
  if (p.monitor.off) out += " with monitoring";
  return out;
}
std::string text(const View& v, const SeccompListener& p) { return std::string(v.str(p.path)); }
std::string text(const View& v, const IdmapTree& p) { return attrs_text(v, p.attrs); }
std::string text(const View& v, const OpenTree& p) {
  return cat(quoted(v.str(p.path)), " slot ", p.slot, " ", attrs_text(v, p.attrs));
}
std::string text(const View& v, const Keyring& p) { return std::string(v.str(p.name)); }
std::string text(const View&, const PropagationRoot& p) { return hex(p.propagation); }
std::string text(const View&, const AttachRoot& p) { return cat("slot ", p.slot); }
std::string text(const View& v, const MountFs& p) {
  return cat(v.str(p.fstype), " on ", quoted(v.str(p.target)), " ", options_text(v, p.options), " ",
             hex(p.mount_attrs), " ", attrs_text(v, p.attrs));
}
std::string text(const View& v, const MountTree& p) {
  return cat("slot ", p.slot, " on ", quoted(v.str(p.target)));
}
std::string text(const View& v, const Remount& p) {
  return cat(quoted(v.str(p.target)), " ", options_text(v, p.options), " ", attrs_text(v, p.attrs));
}
std::string text(const View& v, const MakeDir& p) {
  return cat(quoted(v.str(p.path)), " ", octal(p.mode));
}
std::string text(const View& v, const HostNodes& p) {
  std::string out = cat("slot ", p.slot);
  for (uint32_t i = 0; i < p.nodes.count; ++i) {
    const HostNode& node = v.list<HostNode>(p.nodes)[i];
    append(out, i ? ", " : " ", octal(node.mode), " ", node.major, ":", node.minor);
    if (node.uid != kNoId) append(out, " uid ", node.uid);
    if (node.gid != kNoId) append(out, " gid ", node.gid);
  }
  return out;
}
std::string text(const View& v, const CloneNodes& p) {
  std::string out = cat("of slot ", p.slot, " into");
  for (uint32_t i = 0; i < p.nodes.count; ++i) append(out, " ", v.list<Slot>(p.nodes)[i]);
  return out;
}
std::string text(const View& v, const MakeNode& p) {
  return cat(quoted(v.str(p.path)), " ", octal(p.mode), " ", p.major, ":", p.minor,
             p.tree == kNoSlot ? std::string() : cat(" or slot ", p.tree));
}
std::string text(const View& v, const MakeSymlink& p) {
  return cat(quoted(v.str(p.path)), " -> ", quoted(v.str(p.points_to)));
}
std::string text(const View& v, const MaskPath& p) { return quoted(v.str(p.path)); }
std::string text(const View& v, const ReadonlyPath& p) { return quoted(v.str(p.path)); }
std::string text(const View&, const PivotRoot& p) {
  if (p.flags & kPivotHostMounts) return "chroot, among the host's mounts";
  return p.flags & kPivotChroot ? "by chroot" : "";
}
std::string text(const View&, const EnterMounts& p) { return cat("slot ", p.slot); }
std::string text(const View& v, const Unmount& p) { return quoted(v.str(p.target)); }
std::string text(const View& v, const RootAttr& p) { return attrs_text(v, p.attrs); }
std::string text(const View& v, const Hostname& p) { return quoted(v.str(p.name)); }
std::string text(const View& v, const Domainname& p) { return quoted(v.str(p.name)); }
std::string text(const View& v, const Sysctl& p) {
  std::string out;
  for (uint32_t i = 0; i < p.settings.count; ++i) {
    const SysctlValue& setting = v.list<SysctlValue>(p.settings)[i];
    append(out, i ? ", " : "", v.str(setting.key), " = ", quoted(v.str(setting.value)));
  }
  return out;
}
std::string text(const View&, const Rlimit& p) {
  return cat(spec::rlimit_name(static_cast<int>(p.resource)), " ", p.soft, ":", p.hard);
}
std::string text(const View&, const OomScoreAdj& p) { return cat(p.value); }
std::string text(const View&, const Scheduler& p) {
  return cat("policy ", p.policy, " nice ", p.nice);
}
std::string text(const View&, const IoPriority& p) { return hex(p.value); }
std::string text(const View&, const Personality& p) { return hex(p.persona); }
std::string text(const View&, const MemoryPolicy& p) { return hex(p.mode); }
std::string text(const View&, const CpuAffinity& p) { return p.cpus.count ? "" : "all CPUs"; }
std::string text(const View&, const StdioOwner& p) { return cat(p.uid); }
std::string text(const View&, const SeccompFilter& p) {
  return cat(p.program.count, " instructions, flags ", hex(p.flags));
}
std::string text(const View& v, const ProcessLabel& p) {
  return cat(v.str(p.attribute), " = ", quoted(v.str(p.value)));
}
std::string text(const View&, const BoundingSet& p) { return hex(p.keep); }
std::string text(const View& v, const Groups& p) {
  std::string out;
  for (uint32_t i = 0; i < p.gids.count; ++i)
    append(out, i ? "," : "", v.list<uint32_t>(p.gids)[i]);
  return out;
}
std::string text(const View&, const SetIds& p) { return cat(p.uid, ":", p.gid); }
std::string text(const View&, const Umask& p) { return octal(p.mask); }
std::string text(const View&, const Capabilities& p) {
  return cat("effective ", hex(p.effective), " permitted ", hex(p.permitted), " inheritable ",
             hex(p.inheritable), " ambient ", hex(p.ambient));
}
std::string text(const View& v, const WorkDir& p) { return quoted(v.str(p.path)); }
std::string text(const View&, const PreserveFds& p) { return cat("from ", p.first); }
std::string text(const View& v, const Execute& p) { return strings_text(v, p.argv); }
// Steps whose name says all.
template <class Payload>
std::string text(const View&, const Payload&) {
  return "";
}

}  // namespace

std::string subject(const View& v, const Step& step) {
  switch (step.op) {
#define X(name, words) \
  case Op::k##name:    \
    return text(v, step.as<name>());
    CORACLE_STEPS(X)
#undef X
    default:
      return "";
  }
}

// The one path a message needs; the rest of subject() would only be noise there.
static std::string path_of(const View& v, const Step& step) {
  switch (step.op) {
    case Op::kMountFs:
      return quoted(v.str(step.as<MountFs>().target));
    case Op::kMountTree:
      return quoted(v.str(step.as<MountTree>().target));
    case Op::kOpenTree:
      return quoted(v.str(step.as<OpenTree>().path));
    default:
      return subject(v, step);
  }
}

std::string locate(const View& v, const Step& step) {
  const std::string_view origin = v.str(step.origin);
  const std::string path = path_of(v, step);
  return cat(origin.empty() ? step_name(step.op) : origin, path.empty() ? "" : " ", path);
}

static std::string_view actor_name(const Step& step) {
  return step.actor == Actor::kParent ? "parent" : "init";
}

std::string to_table(const View& v) {
  std::string out;
  int number = 0;
  for (const Step& step : v) {
    char line[64];
    std::snprintf(line, sizeof(line), "%3d  %-6s  %-18.*s  ", number++, actor_name(step).data(),
                  static_cast<int>(step_name(step.op).size()), step_name(step.op).data());
    append(out, line, subject(v, step));
    if (step.origin.off && !v.str(step.origin).empty()) append(out, "   # ", v.str(step.origin));
    if (step.on_error != OnError::kFail)
      out += step.on_error == OnError::kWarn ? "   (failure: warn)" : "   (missing: skip)";
    out += '\n';
  }
  return out;
}

std::string to_json(const View& v) {
  spec::JsonWriter json(spec::JsonStyle::kSpaces);
  json.begin_array();
  for (const Step& step : v) {
    json.begin_object();
    json.add("actor", actor_name(step)).add("step", step_name(step.op));
    json.add("subject", subject(v, step)).add("origin", v.str(step.origin));
    json.add("on_error", step.on_error == OnError::kFail   ? "fail"
                         : step.on_error == OnError::kWarn ? "warn"
                                                           : "skip missing");
    json.end_object();
  }
  json.end_array();
  return json.take() + "\n";
}

}  // namespace coracle::plan
