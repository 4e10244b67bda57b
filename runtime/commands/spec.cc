#include <unistd.h>

#include "runtime/commands/list_of_commands.h"
#include "runtime/sys/file.h"
#include "runtime/sys/process.h"
#include "spec/documents.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::commands {

using spec::cat;
using spec::Error;

namespace {

struct SpecOptions {
  std::string_view bundle = ".";
  std::string_view file;
  bool rootless = false;
};

constexpr Option kOptions[] = {
    option<&SpecOptions::bundle>("bundle", 'b', "DIR", "where to write config.json (default: .)"),
    option<&SpecOptions::file>("file", 'f', "FILE", "write to FILE, even if it exists"),
    option<&SpecOptions::rootless>("rootless", 0, nullptr,
                                   "for a user without privileges: with a user namespace"),
};

int write_spec(const Globals&, const SpecOptions& options, const Words&) {
  std::string path =
      options.file.empty() ? cat(options.bundle, "/config.json") : std::string(options.file);
  // A fifo without a reader is refused (ENXIO), not waited for.
  int flags = O_WRONLY | O_CREAT | O_NONBLOCK | (options.file.empty() ? O_EXCL : O_TRUNC);
  sys::Fd file = sys::open_at(sys::At::cwd(), path.c_str(), flags, 0, 0666);
  if (!file) throw Error(cat("create ", path), file.error());
  std::string config =
      options.rootless ? spec::example_config_rootless(sys::effective_uid(), sys::effective_gid())
                       : spec::example_config();
  if (int r = sys::write_all(file, config)) throw Error(path, r);
  return 0;
}

}  // namespace

constexpr Command kSpec = {
    .name = "spec",
    .summary = "Write a config.json to start from",
    .options = kOptions,
    .run = parse_and_run<SpecOptions, write_spec>,
};

}  // namespace coracle::commands
