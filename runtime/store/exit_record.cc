#include "runtime/store/exit_record.h"

#include <sys/wait.h>

#include <cerrno>
#include <utility>

#include "runtime/sys/clock.h"
#include "runtime/sys/file.h"
#include "spec/error.h"
#include "spec/json.h"
#include "spec/json_write.h"
#include "spec/text.h"

template <>
struct coracle::spec::Fields<coracle::store::Exit> {
  using Exit = store::Exit;
  static constexpr Field kTable[] = {
      field<&Exit::code>("code", kRequired),
      field<&Exit::signal>("signal"),
      field<&Exit::oom_killed>("oomKilled"),
      field<&Exit::time>("time", kRequired),
  };
};

namespace coracle::store {

using spec::cat;
using spec::Error;

namespace {

constexpr char kExit[] = "exit.json";
constexpr char kExitNew[] = "exit.json.new";

}  // namespace

Exit exit_of(int wait_status) {
  Exit exit;
  exit.signal = WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0;
  exit.code = exit.signal ? 128 + exit.signal : WEXITSTATUS(wait_status);
  exit.time = sys::rfc3339_now(true);
  return exit;
}

std::string to_json(const Exit& exit) {
  spec::JsonWriter json(spec::JsonStyle::kCompact);
  json.begin_object().add("code", exit.code);
  if (exit.signal != 0) json.add("signal", exit.signal);
  if (exit.oom_killed) json.add("oomKilled", *exit.oom_killed);
  json.add("time", exit.time).end_object();
  return json.take() + "\n";
}

Exit parse_exit(std::string text, std::string_view file) {
  spec::Text document(std::move(text), file);
  Exit exit;
  document.visit(
      [](const spec::Value& root, void* out) {
        spec::read(root, *static_cast<Exit*>(out));
        check(*static_cast<Exit*>(out));
      },
      &exit);
  return exit;
}

void save_exit(const Container& container, const Exit& exit) {
  const sys::Fd& dir = container.dir();
  constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK;
  sys::Fd file = sys::open_at(dir, kExitNew, kFlags, 0, 0600);
  int r = file ? sys::write_all(file, to_json(exit)) : -file.error();
  if (r == 0) r = sys::rename_at(dir, kExitNew, dir, kExit);
  if (r) throw Error(cat("write ", container.path(), "/", kExit), r);
}

std::optional<Exit> load_exit(const Container& container) {
  std::string text;
  const int r = sys::read_regular_file(container.dir(), kExit, text);
  if (r == -ENOENT) return std::nullopt;
  const std::string path = cat(container.path(), "/", kExit);
  if (r) throw Error(cat("read ", path), r);
  return parse_exit(std::move(text), path);
}

}  // namespace coracle::store
