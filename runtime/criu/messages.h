// The requests and answers of criu's RPC (criu(8), "service" and "swrk"; the numbers are those of
// /usr/include/criu/rpc.proto): plain structs here, bytes on the socket. Only what checkpoint and
// restore use; fields that a newer criu adds to its answers are passed over.
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

namespace coracle::criu {

enum class Kind : uint32_t {
  kEmpty = 0,  // the answer to a request that criu could not read
  kDump = 1,
  kRestore = 2,
  kPreDump = 4,
  kNotify = 6,
  kFeatureCheck = 9,
  kVersion = 10,
};

enum class CgroupMode : uint32_t { kIgnore = 0, kSoft = 3, kFull = 4, kStrict = 5 };
enum class NetworkLock : uint32_t { kDefault = 0, kIptables = 1, kNftables = 2, kSkip = 3 };

struct Pair {
  std::string first;
  std::string second;
};

struct Inherited {
  std::string key;  // as the image names it: "pipe:[4711]", "extRootNetNS"
  int fd = -1;      // number in criu
};

struct Options {
  // Descriptors of ours: criu opens them anew through /proc/OUR-PID/fd.
  int images_dir = -1;
  int work_dir = -1;   // for the log and temporary files; -1: the images' directory
  int status_fd = -1;  // a NUL is written there once lazy pages can be fetched
  pid_t pid = 0;       // whom to dump

  bool leave_running = false;
  bool ext_unix_sk = false;
  bool tcp_established = false;
  bool tcp_close = false;
  bool tcp_skip_in_flight = false;
  bool evasive_devices = false;
  bool shell_job = false;
  bool file_locks = false;
  bool link_remap = false;
  bool track_mem = false;
  bool auto_dedup = false;
  bool lazy_pages = false;
  bool restore_sibling = false;  // what is restored becomes our child, not criu's
  bool orphan_pts_master = false;

  std::string log_file;    // a name in the work directory
  std::string root;        // absolute
  std::string parent_img;  // relative to the images' directory
  std::string freeze_cgroup;
  std::string config_file;
  std::string cgroup_yard;  // a directory with the cgroup2 tree as "unified" in it
  std::string lsm_profile;
  std::string lsm_mount_context;
  std::string cgroup_root;  // the cgroups in the images are made below this one instead

  std::string page_server_address;  // with a port
  uint32_t page_server_port = 0;    // 0: no page server
  uint32_t empty_namespaces = 0;    // CLONE_NEW*
  CgroupMode cgroup_mode = CgroupMode::kSoft;
  NetworkLock network_lock = NetworkLock::kDefault;

  std::vector<Pair> external_mounts;   // dump: {mount point, name}; restore: {name, source}
  std::vector<Pair> join_namespaces;   // {"ipc", path}
  std::vector<std::string> externals;  // "net[4026531840]:extRootNetNS"
  std::vector<Inherited> inherited;
};

struct Request {
  Kind kind = Kind::kEmpty;
  const Options* options = nullptr;  // null: none
  bool keep_open = false;            // criu awaits another request after this one
};

std::string encode(const Request& request);
std::string encode_notify_reply(bool success);
// Asks whether memory tracking and lazy pages work with this kernel.
std::string encode_feature_check();

struct Response {
  Kind kind = Kind::kEmpty;
  bool success = false;
  pid_t restored_pid = 0;  // kRestore
  std::string script;      // kNotify: "post-restore", ...
  pid_t notify_pid = 0;    // kNotify: of the root task, where criu tells it
  int error = 0;           // an errno, or 0
  std::string error_text;  // criu's first error message, or ""
  uint32_t version = 0;    // kVersion: 31701 is 3.17.1
  bool mem_track = false;  // kFeatureCheck
  bool lazy_pages = false;
};

// False if `bytes` are no well-formed answer, or lack what every answer has. Any bytes may be
// given.
bool decode(std::string_view bytes, Response& response);

}  // namespace coracle::criu
