// The files of a container's cgroup as one JSON document, under the kernel's own names and in its
// own units (cgroup-v2.rst): {"id":ID,"cpu":{"stat":{"usage_usec":1,...},...},"memory":{...},...}.
// `events --stats` has the older form of the same numbers, which engines read.
//
// Numbers are numbers; "max" stays the word. A file that is not there is left out.

#include <algorithm>
#include <cerrno>

#include "runtime/commands/container_cgroup.h"
#include "runtime/commands/list_of_commands.h"
#include "runtime/messages.h"
#include "runtime/store/container.h"
#include "runtime/sys/file.h"
#include "spec/error.h"
#include "spec/json_write.h"
#include "spec/text.h"

namespace coracle::commands {
namespace {

using spec::cat;
using spec::Error;
using store::Status;
using Writer = spec::JsonWriter;

// cgroup-v2.rst, "Interface Files", "Format".
enum class Form {
  kValue,   // a number, or a text
  kFlat,    // lines of KEY VALUE
  kNested,  // lines of KEY NAME=VALUE...
};

struct File {
  std::string_view controller;
  std::string_view name;  // behind the dot
  Form form;
};
constexpr File kFiles[] = {
    {"cgroup", "stat", Form::kFlat},
    {"cgroup", "events", Form::kFlat},
    {"cpu", "stat", Form::kFlat},
    {"cpu", "weight", Form::kValue},
    {"cpu", "max", Form::kValue},
    {"cpu", "max.burst", Form::kValue},
    {"cpu", "idle", Form::kValue},
    {"cpu", "uclamp.min", Form::kValue},
    {"cpu", "uclamp.max", Form::kValue},
    {"cpu", "pressure", Form::kNested},
    {"irq", "pressure", Form::kNested},
    {"cpuset", "cpus", Form::kValue},
    {"cpuset", "cpus.effective", Form::kValue},
    {"cpuset", "mems", Form::kValue},
    {"cpuset", "mems.effective", Form::kValue},
    {"memory", "current", Form::kValue},
    {"memory", "peak", Form::kValue},
    {"memory", "min", Form::kValue},
    {"memory", "low", Form::kValue},
    {"memory", "high", Form::kValue},
    {"memory", "max", Form::kValue},
    {"memory", "events", Form::kFlat},
    {"memory", "events.local", Form::kFlat},
    {"memory", "swap.current", Form::kValue},
    {"memory", "swap.peak", Form::kValue},
    {"memory", "swap.high", Form::kValue},
    {"memory", "swap.max", Form::kValue},
    {"memory", "swap.events", Form::kFlat},
    {"memory", "zswap.current", Form::kValue},
    {"memory", "zswap.max", Form::kValue},
    {"memory", "stat", Form::kFlat},
    {"memory", "numa_stat", Form::kNested},
    {"memory", "pressure", Form::kNested},
    {"pids", "current", Form::kValue},
    {"pids", "peak", Form::kValue},
    {"pids", "max", Form::kValue},
    {"pids", "events", Form::kFlat},
    {"io", "stat", Form::kNested},
    {"io", "max", Form::kNested},
    {"io", "weight", Form::kFlat},
    {"io", "bfq.weight", Form::kFlat},
    {"io", "pressure", Form::kNested},
    {"rdma", "current", Form::kNested},
    {"rdma", "max", Form::kNested},
    {"misc", "current", Form::kFlat},
    {"misc", "peak", Form::kFlat},
    {"misc", "max", Form::kFlat},
    {"misc", "events", Form::kFlat},
};

// Everything up to the next `separator`, which is taken away with it.
std::string_view take(std::string_view& text, char separator) {
  const size_t end = std::min(text.find(separator), text.size());
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

// 12 or 0.25, as JSON has them too.
bool is_number(std::string_view text) {
  const std::string_view whole = take(text, '.');
  auto is_digits = [](std::string_view part) {
    return part.find_first_not_of("0123456789") == part.npos;
  };
  const bool leading_zero = whole.size() > 1 && whole.front() == '0';
  return !whole.empty() && !leading_zero && is_digits(whole) && is_digits(text);
}

void write_value(Writer& out, std::string_view text) {
  if (is_number(text) && !text.ends_with('.')) {
    out.number(text);
  } else {
    out.value(text);
  }
}

void write_nested_line(Writer& out, std::string_view line) {
  std::string_view key = take(line, ' ');
  // io.stat of some kernels (up to 6.x) puts devices without I/O on the line of the next one.
  while (!line.empty() && line.substr(0, line.find(' ')).find('=') == line.npos) {
    key = take(line, ' ');
  }
  if (line.empty()) return;
  out.key(key);
  out.begin_object();
  while (!line.empty()) {
    std::string_view pair = take(line, ' ');
    if (pair.empty()) continue;
    out.key(take(pair, '='));
    write_value(out, pair);
  }
  out.end_object();
}

void write_text(Writer& out, Form form, std::string_view text) {
  if (form == Form::kValue) return write_value(out, take(text, '\n'));
  out.begin_object();
  while (!text.empty()) {
    std::string_view line = take(text, '\n');
    if (form == Form::kNested) {
      write_nested_line(out, line);
    } else if (!line.empty()) {
      out.key(take(line, ' '));
      write_value(out, line);
    }
  }
  out.end_object();
}

// Writes the files given one by one, those of a controller as one object.
class Document {
 public:
  Document(std::string_view id, const cgroup::Cgroup& cgroup) : cgroup_(cgroup) {
    out_.begin_object();
    out_.key("id");
    out_.value(id);
  }

  void add(const File& file) {
    const std::string path = cat(file.controller, '.', file.name);
    std::string text;
    const int r = sys::read_file(cgroup_.dir, path.c_str(), text);
    // EOPNOTSUPP: pressure information that was built into the kernel, but not switched on.
    if (r == -ENOENT || r == -EOPNOTSUPP) return;
    if (r) throw Error(cat("cannot read ", path, " of cgroup ", cgroup_.path), r);
    if (controller_ != file.controller) enter(file.controller);
    out_.key(file.name);
    write_text(out_, file.form, text);
  }

  std::string take() {
    enter("");
    out_.end_object();
    return out_.take();
  }

 private:
  void enter(std::string_view controller) {
    if (!controller_.empty()) out_.end_object();
    controller_ = controller;
    if (controller.empty()) return;
    out_.key(controller);
    out_.begin_object();
  }

  const cgroup::Cgroup& cgroup_;
  Writer out_{spec::JsonStyle::kCompact};
  std::string_view controller_;
};

// Which files there are depends on the machine's page sizes: "2MB.current", "2MB.rsvd.max".
std::vector<std::string> hugetlb_names(const cgroup::Cgroup& cgroup) {
  constexpr std::string_view kPrefix = "hugetlb.";
  std::vector<sys::DirEntry> entries;
  if (int r = sys::list_dir(cgroup.dir, ".", entries)) {
    throw Error(cat("cannot list cgroup ", cgroup.path), r);
  }
  std::vector<std::string> names;
  for (const sys::DirEntry& entry : entries) {
    if (!entry.name.starts_with(kPrefix) || entry.name.ends_with(".numa_stat")) continue;
    names.push_back(entry.name.substr(kPrefix.size()));
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string read_document(std::string_view id, const cgroup::Cgroup& cgroup) {
  Document document(id, cgroup);
  for (const File& file : kFiles) document.add(file);
  for (const std::string& name : hugetlb_names(cgroup)) {
    const bool flat = name.ends_with(".events") || name.ends_with(".local");
    document.add({"hugetlb", name, flat ? Form::kFlat : Form::kValue});
  }
  return document.take();
}

int stats(const Globals& globals, const NoOptions&, const Words& words) {
  const auto container = store::Container::open(globals.state_root().path, words[0]);
  const Status status = container.status();
  if (status == Status::kStopped || status == Status::kCreating) {
    throw Error(cat(messages::kNotRunning, ": ", container.id()));
  }
  print(read_document(container.id(), open_cgroup(container.record(), "stats")) + "\n");
  return 0;
}

}  // namespace

constexpr Command kStats = {
    .name = "stats",
    .arguments = "ID",
    .summary = "Show what a container has used and what its limits are, as JSON",
    .details = "Names and units are those of the kernel's files (cgroup v2).",
    .min_arguments = 1,
    .max_arguments = 1,
    .run = parse_and_run<NoOptions, stats>,
};

}  // namespace coracle::commands
