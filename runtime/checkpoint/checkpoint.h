// checkpoint and restore: a container's processes into files and back, by criu(8). One call in, one
// result out; they throw spec::Error, with what criu's log says.
//
// A checkpoint that does not leave the container running leaves it stopped; `delete` takes it away,
// and so does `restore` under the same id.
#pragma once

#include <stdint.h>

#include <string>
#include <string_view>

#include "runtime/container/verbs.h"
#include "runtime/criu/messages.h"

namespace coracle::checkpoint {

// What both have.
struct ImageOptions {
  std::string image_path;  // absolute; a checkpoint makes the directory
  std::string work_path;   // absolute: criu's log and temporary files; "": the image path
  bool tcp_established = false;
  bool ext_unix_sk = false;
  bool shell_job = false;
  bool file_locks = false;
  bool auto_dedup = false;
  bool lazy_pages = false;
  uint32_t empty_namespaces = 0;  // CLONE_NEW*
  criu::CgroupMode cgroup_mode = criu::CgroupMode::kSoft;
  criu::NetworkLock network_lock = criu::NetworkLock::kDefault;
};

struct CheckpointRequest {
  std::string root;  // absolute
  std::string id;
  ImageOptions images;
  std::string parent_path;  // relative to the image path, or ""
  std::string page_server_address;
  uint32_t page_server_port = 0;  // 0: none
  int status_fd = -1;
  bool leave_running = false;
  bool pre_dump = false;
  bool tcp_skip_in_flight = false;
  bool link_remap = false;
};

struct RestoreRequest {
  container::CreateRequest create;
  ImageOptions images;
  std::string lsm_profile;  // TYPE:NAME
  std::string lsm_mount_context;
  bool tcp_close = false;
};

void checkpoint(const CheckpointRequest& request);
// The exit status of the program (128 + signal when killed); 0 when detached.
int restore(const RestoreRequest& request);
// restore --detach, for who stays behind: the process is a child of the caller's.
container::Started restore_detached(const RestoreRequest& request);

}  // namespace coracle::checkpoint
