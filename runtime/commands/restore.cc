#include "runtime/commands/create_options.h"
#include "runtime/commands/criu_options.h"
#include "runtime/commands/list_of_commands.h"

namespace coracle::commands {
namespace {

struct RestoreOptions : CreateOptions, ImageFlags {
  std::string_view lsm_profile;
  std::string_view lsm_mount_context;
  bool tcp_close = false;
};

// The last three are given by callers that give them to create as well; there is nothing to do.
constexpr Option kOwnOptions[] = {
    option<&RestoreOptions::tcp_close>("tcp-close", 0, nullptr,
                                       "restore TCP connections as closed ones"),
    option_in<RestoreOptions, &ImageFlags::lazy_pages>(
        "lazy-pages", 0, nullptr, "fetch memory when it is used, from a criu lazy-pages that runs"),
    option<&RestoreOptions::lsm_profile>("lsm-profile", 0, "TYPE:NAME",
                                         "another AppArmor or SELinux profile"),
    option<&RestoreOptions::lsm_mount_context>("lsm-mount-context", 0, "CONTEXT",
                                               "another SELinux context of the mounts"),
    option_in<RestoreOptions, &CreateOptions::preserve_fds>("preserve-fds", 0, "N", nullptr),
    option_in<RestoreOptions, &CreateOptions::no_pivot>("no-pivot", 0, nullptr, nullptr),
    option_in<RestoreOptions, &CreateOptions::no_new_keyring>("no-new-keyring", 0, nullptr,
                                                              nullptr),
};
constexpr auto kOptions = join(kBundleOptions<RestoreOptions>, kWaitOptions<RestoreOptions>,
                               kImageOptions<RestoreOptions>, kOwnOptions);

int restore(const Globals& globals, const RestoreOptions& options, const Words& words) {
  checkpoint::RestoreRequest request;
  request.create = create_request(globals, options, words[0]);
  request.images = image_options(options);
  request.lsm_profile = options.lsm_profile;
  request.lsm_mount_context = options.lsm_mount_context;
  request.tcp_close = options.tcp_close;
  return checkpoint::restore(request);
}

}  // namespace

constexpr Command kRestore = {
    .name = "restore",
    .arguments = "ID",
    .summary = "Make a container out of a checkpoint's files, and let it go on",
    .details =
        "The exit status is the program's, or 128 plus the number of the signal that ended it; 0 "
        "with --detach. A container that a checkpoint has stopped makes room for one of the same "
        "ID.",
    .options = kOptions,
    .min_arguments = 1,
    .max_arguments = 1,
    .run = parse_and_run<RestoreOptions, restore>,
};

}  // namespace coracle::commands
