// The options that checkpoint and restore share.
#pragma once

#include <string_view>

#include "runtime/checkpoint/checkpoint.h"
#include "runtime/commands/command.h"

namespace coracle::commands {

struct ImageFlags {
  std::string_view image_path = "checkpoint";
  std::string_view work_path;
  std::string_view manage_cgroups_mode = "soft";
  std::string_view network_lock;
  Words empty_ns;
  bool tcp_established = false;
  bool ext_unix_sk = false;
  bool shell_job = false;
  bool file_locks = false;
  bool auto_dedup = false;
  bool lazy_pages = false;
};

// `Target` is the command's struct, which has ImageFlags as a base.
template <typename Target>
inline constexpr Option kImageOptions[] = {
    option_in<Target, &ImageFlags::image_path>("image-path", 0, "DIR",
                                               "criu's image files (default: ./checkpoint)"),
    option_in<Target, &ImageFlags::work_path>(
        "work-path", 0, "DIR", "criu's log and temporary files (default: the image path)"),
    option_in<Target, &ImageFlags::tcp_established>("tcp-established", 0, nullptr,
                                                    "keep open TCP connections"),
    option_in<Target, &ImageFlags::ext_unix_sk>("ext-unix-sk", 0, nullptr,
                                                "allow Unix sockets whose peer is outside"),
    option_in<Target, &ImageFlags::shell_job>("shell-job", 0, nullptr,
                                              "allow a session and a terminal from outside"),
    option_in<Target, &ImageFlags::file_locks>("file-locks", 0, nullptr, "keep file locks"),
    option_in<Target, &ImageFlags::manage_cgroups_mode>(
        "manage-cgroups-mode", 0, "soft|full|strict|ignore",
        "what criu does with cgroups (default: soft)"),
    option_in<Target, &ImageFlags::network_lock>("network-lock", 0, "iptables|nftables|skip",
                                                 "how criu stops the network (default: criu's)"),
    option_in<Target, &ImageFlags::empty_ns>("empty-ns", 0, "NAMESPACE",
                                             "leave out what is in this namespace (only: network)"),
    option_in<Target, &ImageFlags::auto_dedup>("auto-dedup", 0, nullptr,
                                               "drop pages from the images once they are doubled"),
};

// Throws spec::Error for a value that is none.
checkpoint::ImageOptions image_options(const ImageFlags& flags);

}  // namespace coracle::commands
