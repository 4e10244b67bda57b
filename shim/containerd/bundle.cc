#include "shim/containerd/bundle.h"

#include <fcntl.h>

#include "runtime/container/verbs.h"
#include "runtime/store/container.h"
#include "runtime/sys/file.h"
#include "runtime/sys/protobuf.h"
#include "shim/containerd/rootfs.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::shim {

using spec::cat;
using spec::Error;

namespace {

constexpr char kDefaultRoot[] = "/run/containerd/coracle";
constexpr char kStateRoot[] = "state-root";
constexpr char kAddress[] = "address";
constexpr char kExit[] = "exit";

std::string read_small(const std::string& bundle, const char* name) {
  std::string text;
  // Missing, or not to be read: then nothing is known.
  if (sys::read_regular_file(sys::At::cwd(), cat(bundle, "/", name).c_str(), text, 4096))
    text.clear();
  return text;
}

void replace_small(const std::string& bundle, const char* name, const std::string& text) {
  const std::string path = cat(bundle, "/", name), temporary = cat(bundle, "/.", name);
  constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK;
  sys::Fd file = sys::open_at(sys::At::cwd(), temporary.c_str(), kFlags, 0, 0600);
  int r = file ? sys::write_all(file, text) : -file.error();
  if (r == 0) r = sys::rename_at(sys::At::cwd(), temporary.c_str(), sys::At::cwd(), path.c_str());
  if (r) throw Error(cat("write ", path), r);
}

}  // namespace

std::string state_root(std::string_view root_option, std::string_view name_space) {
  return cat(root_option.empty() ? kDefaultRoot : root_option, "/", name_space);
}

void write_state_root(const std::string& bundle, const std::string& root) {
  replace_small(bundle, kStateRoot, root);
}

std::string read_state_root(const std::string& bundle) { return read_small(bundle, kStateRoot); }

std::string address_of(const std::string& path) { return cat("unix://", path); }

void write_address(const std::string& bundle, const std::string& address) {
  replace_small(bundle, kAddress, address);
}

std::string read_address(const std::string& bundle) { return read_small(bundle, kAddress); }

void write_exit(const std::string& bundle, const Exit& exit) {
  sys::ProtoWriter out;
  out.number(1, exit.pid).number(2, exit.status).signed_number(3, exit.at.seconds);
  replace_small(bundle, kExit, out.signed_number(4, exit.at.nanoseconds).text());
}

Exit read_exit(const std::string& bundle) {
  Exit exit;
  const std::string bytes = read_small(bundle, kExit);
  sys::ProtoReader in(bytes);
  while (in.next()) {
    if (in.field() == 1) exit.pid = static_cast<uint32_t>(in.number());
    if (in.field() == 2) exit.status = static_cast<uint32_t>(in.number());
    if (in.field() == 3) exit.at.seconds = static_cast<int64_t>(in.number());
    if (in.field() == 4) exit.at.nanoseconds = static_cast<int32_t>(in.number());
  }
  return exit;
}

void remove_container(const std::string& root, const std::string& id, const std::string& rootfs) {
  auto container = store::Container::open_for_removal(root, id);
  if (container) container::destroy(*container, true);
  unmount_rootfs(rootfs);
}

}  // namespace coracle::shim
