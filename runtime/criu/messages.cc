#include "runtime/criu/messages.h"

#include <climits>

#include "runtime/sys/protobuf.h"

namespace coracle::criu {

using sys::ProtoReader;
using sys::ProtoWriter;

namespace {

// criu_req
constexpr uint32_t kRequestType = 1, kRequestOptions = 2, kRequestNotifySuccess = 3,
                   kRequestKeepOpen = 4, kRequestFeatures = 5;
// criu_opts, besides the tables below
constexpr uint32_t kImagesDir = 1, kPid = 2, kLogLevel = 9, kPageServer = 11, kNotifyScripts = 12,
                   kWorkDir = 17, kExternalMount = 23, kManageCgroups = 24, kCgroupRoot = 25,
                   kInherit = 27, kCgroupMode = 34, kExternal = 37, kEmptyNs = 38, kJoinNs = 39,
                   kStatusFd = 49, kNetworkLock = 64;
constexpr uint64_t kDebugLevel = 4;  // what the peers ask for: a dump.log that explains

constexpr struct {
  uint32_t field;
  bool Options::*member;
} kFlags[] = {
    {3, &Options::leave_running},       {4, &Options::ext_unix_sk},
    {5, &Options::tcp_established},     {6, &Options::evasive_devices},
    {7, &Options::shell_job},           {8, &Options::file_locks},
    {15, &Options::track_mem},          {16, &Options::auto_dedup},
    {18, &Options::link_remap},         {26, &Options::restore_sibling},
    {46, &Options::tcp_skip_in_flight}, {48, &Options::lazy_pages},
    {50, &Options::orphan_pts_master},  {52, &Options::tcp_close},
};

constexpr struct {
  uint32_t field;
  std::string Options::*member;
} kTexts[] = {
    {10, &Options::log_file},    {13, &Options::root},
    {14, &Options::parent_img},  {44, &Options::freeze_cgroup},
    {51, &Options::config_file}, {53, &Options::lsm_profile},
    {60, &Options::cgroup_yard}, {63, &Options::lsm_mount_context},
};

ProtoWriter pair(std::string_view first, std::string_view second) {
  return std::move(ProtoWriter().bytes(1, first).bytes(2, second));
}

void add_lists(ProtoWriter& out, const Options& o) {
  for (const Pair& mount : o.external_mounts)
    out.message(kExternalMount, pair(mount.first, mount.second));
  for (const Pair& ns : o.join_namespaces) out.message(kJoinNs, pair(ns.first, ns.second));
  for (const std::string& external : o.externals) out.bytes(kExternal, external);
  for (const Inherited& fd : o.inherited)
    out.message(kInherit, ProtoWriter().bytes(1, fd.key).signed_number(2, fd.fd));
  if (!o.cgroup_root.empty()) out.message(kCgroupRoot, ProtoWriter().bytes(2, o.cgroup_root));
  if (o.page_server_port != 0)
    out.message(kPageServer,
                ProtoWriter().bytes(1, o.page_server_address).number(2, o.page_server_port));
}

ProtoWriter options_message(const Options& o) {
  ProtoWriter out;
  out.signed_number(kImagesDir, o.images_dir).signed_number(kPid, o.pid);
  for (const auto& flag : kFlags) out.number(flag.field, o.*flag.member);
  for (const auto& text : kTexts) out.bytes(text.field, o.*text.member);
  out.number(kLogLevel, kDebugLevel).number(kNotifyScripts, 1);
  if (o.work_dir >= 0) out.signed_number(kWorkDir, o.work_dir);
  if (o.status_fd >= 0) out.signed_number(kStatusFd, o.status_fd);
  out.number(kEmptyNs, o.empty_namespaces);
  out.number(kNetworkLock, static_cast<uint64_t>(o.network_lock));
  out.number(kManageCgroups, 1);
  out.present_number(kCgroupMode, static_cast<uint64_t>(o.cgroup_mode));
  add_lists(out, o);
  return out;
}

ProtoWriter request_of(Kind kind) {
  ProtoWriter out;
  out.number(kRequestType, static_cast<uint64_t>(kind));
  return out;
}

}  // namespace

std::string encode(const Request& request) {
  ProtoWriter out = request_of(request.kind);
  if (request.options != nullptr) out.message(kRequestOptions, options_message(*request.options));
  return out.number(kRequestKeepOpen, request.keep_open).take();
}

std::string encode_notify_reply(bool success) {
  return request_of(Kind::kNotify).present_number(kRequestNotifySuccess, success).take();
}

std::string encode_feature_check() {
  return request_of(Kind::kFeatureCheck)
      .number(kRequestKeepOpen, 1)
      .message(kRequestFeatures, ProtoWriter().number(1, 1).number(2, 1))
      .take();
}

// ---- answers ----

namespace {

// A number that is a pid; anything else is 0, which is none.
pid_t pid_of(ProtoReader& in) {
  const uint64_t value = in.number();
  return value <= INT_MAX ? static_cast<pid_t>(value) : 0;
}

bool read_notify(std::string_view bytes, Response& r) {
  ProtoReader in(bytes);
  while (in.next()) {
    if (in.field() == 1) r.script = in.bytes();
    if (in.field() == 2) r.notify_pid = pid_of(in);
  }
  return in.ok();
}

bool read_restore(std::string_view bytes, Response& r) {
  ProtoReader in(bytes);
  while (in.next())
    if (in.field() == 1) r.restored_pid = pid_of(in);
  return in.ok();
}

bool read_features(std::string_view bytes, Response& r) {
  ProtoReader in(bytes);
  while (in.next()) {
    if (in.field() == 1) r.mem_track = in.number() != 0;
    if (in.field() == 2) r.lazy_pages = in.number() != 0;
  }
  return in.ok();
}

// As `criu --version` prints it, 3.17.1: major, minor, sublevel.
bool read_version(std::string_view bytes, Response& r) {
  constexpr uint64_t kMost = 99;
  uint64_t major = 0, minor = 0, sublevel = 0;
  ProtoReader in(bytes);
  while (in.next()) {
    if (in.field() == 1) major = in.number();
    if (in.field() == 2) minor = in.number();
    if (in.field() == 4) sublevel = in.number();
  }
  if (major > kMost || minor > kMost) return false;
  r.version =
      static_cast<uint32_t>(major * 10000 + minor * 100 + (sublevel > kMost ? 0 : sublevel));
  return in.ok();
}

}  // namespace

bool decode(std::string_view bytes, Response& r) {
  r = {};
  bool has_type = false, has_success = false, nested = true;
  ProtoReader in(bytes);
  while (nested && in.next()) {
    switch (in.field()) {
      case 1:
        r.kind = static_cast<Kind>(in.number());
        has_type = true;
        break;
      case 2:
        r.success = in.number() != 0;
        has_success = true;
        break;
      case 4:
        nested = read_restore(in.bytes(), r);
        break;
      case 5:
        nested = read_notify(in.bytes(), r);
        break;
      case 7:
        r.error = static_cast<int>(in.number());
        break;
      case 8:
        nested = read_features(in.bytes(), r);
        break;
      case 9:
        r.error_text = in.bytes();
        break;
      case 10:
        nested = read_version(in.bytes(), r);
        break;
      default:
        break;
    }
  }
  return nested && in.ok() && has_type && has_success;
}

}  // namespace coracle::criu
