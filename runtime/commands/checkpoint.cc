#include <optional>

#include "runtime/commands/criu_options.h"
#include "runtime/commands/list_of_commands.h"
#include "spec/error.h"
#include "spec/ids.h"
#include "spec/text.h"

namespace coracle::commands {
namespace {

using spec::cat;
using spec::Error;

struct CheckpointOptions : ImageFlags {
  std::string_view parent_path;
  std::string_view page_server;
  std::string_view status_fd;
  bool leave_running = false;
  bool pre_dump = false;
  bool tcp_skip_in_flight = false;
  bool link_remap = false;
};

constexpr Option kOwnOptions[] = {
    option<&CheckpointOptions::leave_running>("leave-running", 0, nullptr,
                                              "let the container go on afterwards"),
    option<&CheckpointOptions::pre_dump>(
        "pre-dump", 0, nullptr,
        "save memory only, let the container go on; a checkpoint with "
        "--parent-path then saves what has changed since"),
    option<&CheckpointOptions::parent_path>("parent-path", 0, "DIR",
                                            "images of a pre-dump, relative to the image path"),
    option<&CheckpointOptions::tcp_skip_in_flight>("tcp-skip-in-flight", 0, nullptr,
                                                   "leave out TCP connections not yet accepted"),
    option<&CheckpointOptions::link_remap>("link-remap", 0, nullptr,
                                           "give files that are open but deleted a name again"),
    option_in<CheckpointOptions, &ImageFlags::lazy_pages>(
        "lazy-pages", 0, nullptr,
        "keep the memory, and serve it on the page server's address until all is fetched"),
    option<&CheckpointOptions::page_server>(
        "page-server", 0, "ADDRESS:PORT",
        "send memory to criu's page server there; with --lazy-pages: serve it there"),
    option<&CheckpointOptions::status_fd>(
        "status-fd", 0, "FD", "a NUL is written to this descriptor once --lazy-pages is ready"),
};
constexpr auto kOptions = join(kImageOptions<CheckpointOptions>, kOwnOptions);

// "127.0.0.1:27" or "[::1]:27"; criu wants the address without brackets.
void read_page_server(std::string_view text, checkpoint::CheckpointRequest& request) {
  if (text.empty()) return;
  const size_t colon = text.rfind(':');
  std::optional<uint64_t> port;
  if (colon != text.npos) port = spec::parse_number(text.substr(colon + 1), 65535);
  std::string_view address = text.substr(0, colon);
  if (address.size() > 2 && address.front() == '[' && address.back() == ']')
    address = address.substr(1, address.size() - 2);
  if (!port || *port == 0 || address.empty())
    throw Error(cat("option --page-server: ", spec::quoted(text), " is no ADDRESS:PORT"));
  request.page_server_address = address;
  request.page_server_port = static_cast<uint32_t>(*port);
}

int read_status_fd(std::string_view text) {
  if (text.empty() || text == "-1") return -1;  // what runc's documentation calls the default
  const auto number = spec::parse_number(text, INT32_MAX);
  if (!number || *number < 3)
    throw Error(cat("option --status-fd: ", spec::quoted(text), " is no descriptor from 3 on"));
  return static_cast<int>(*number);
}

int checkpoint(const Globals& globals, const CheckpointOptions& options, const Words& words) {
  checkpoint::CheckpointRequest request;
  request.root = globals.state_root().path;
  request.id = words[0];
  request.images = image_options(options);
  request.parent_path = options.parent_path;
  request.leave_running = options.leave_running;
  request.pre_dump = options.pre_dump;
  request.tcp_skip_in_flight = options.tcp_skip_in_flight;
  request.link_remap = options.link_remap;
  request.status_fd = read_status_fd(options.status_fd);
  read_page_server(options.page_server, request);
  if (options.lazy_pages && request.page_server_port == 0)
    throw Error("option --lazy-pages: needs --page-server ADDRESS:PORT to serve the pages on");
  checkpoint::checkpoint(request);
  return 0;
}

}  // namespace

constexpr Command kCheckpoint = {
    .name = "checkpoint",
    .arguments = "ID",
    .summary = "Save the processes of a running container to files, with criu",
    .details = "The container is stopped then, unless --leave-running or --pre-dump is given.",
    .options = kOptions,
    .min_arguments = 1,
    .max_arguments = 1,
    .run = parse_and_run<CheckpointOptions, checkpoint>,
};

}  // namespace coracle::commands
