// containerd's requests. The first byte says which.
#include "shim/containerd/bootstrap.h"
#include "shim/containerd/messages.h"
#include "tests/fuzz/fuzz.h"

using namespace coracle::shim;
namespace fuzz = coracle::fuzz;
using fuzz::require;

namespace {

void read_create(std::string_view bytes) {
  const CreateTask task = parse_create(bytes);
  const Event event = create_event(task, 1);
  const Any any = parse_any(event.any);
  require(any.type == "containerd.events.TaskCreate", "an event is what it says", any.type);
}

void read_exec(std::string_view bytes) { parse_exec(bytes); }
void read_update(std::string_view bytes) { parse_update(bytes); }
void read_checkpoint(std::string_view bytes) { parse_checkpoint(bytes); }

void read_task(std::string_view bytes) {
  for (const RequestKind kind : {RequestKind::kIds, RequestKind::kKill, RequestKind::kResize,
                                 RequestKind::kCloseIo, RequestKind::kShutdown})
    fuzz::accepts([&] { parse_task(bytes, kind); });
}

void read_any(std::string_view bytes) {
  const Any any = parse_any(bytes);
  const Any back = parse_any(any_bytes(any.type, any.value));
  require(back.type == any.type && back.value == any.value, "an Any is read back");
}

void read_start_input(std::string_view bytes) {
  Invocation invocation;
  invocation.id = "id";
  invocation.name_space = "default";
  const StartInput input = parse_start_input(bytes, invocation);
  require(!start_answer(input, "unix:///a").empty(), "start answers");
  require(socket_path(input, invocation, "").size() > 64, "a socket has a path");
}

void read_invocation(std::string_view bytes) {
  std::vector<std::string_view> words;
  while (!bytes.empty()) {
    words.push_back(bytes.substr(0, bytes.find('\0')));
    bytes.remove_prefix(std::min(bytes.size(), words.back().size() + 1));
  }
  parse_invocation(words);
}

constexpr void (*kReaders[])(std::string_view) = {
    read_create, read_exec, read_update,      read_checkpoint,
    read_task,   read_any,  read_start_input, read_invocation,
};

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view bytes = fuzz::text_of(data, size);
  const auto reader = kReaders[fuzz::take_choice(bytes, std::size(kReaders))];
  fuzz::accepts([&] { reader(bytes); });
  return 0;
}
