#include "runtime/store/container.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <utility>

#include "runtime/messages.h"
#include "runtime/sys/clock.h"
#include "runtime/sys/lock.h"
#include "runtime/sys/metadata.h"
#include "runtime/sys/process.h"
#include "runtime/sys/unix_socket.h"
#include "spec/error.h"
#include "spec/ids.h"
#include "spec/text.h"

namespace coracle::store {

using spec::cat;
using spec::Error;
using sys::At;

namespace {

constexpr char kRecord[] = "state.json";
constexpr char kRecordNew[] = "state.json.new";
constexpr char kConfig[] = "config.json";
constexpr char kReport[] = "report";
constexpr char kStartSocket[] = "start.sock";
constexpr int kLockTimeout = 10000;  // ms

std::string directory_of(const std::string& root, std::string_view id) {
  check_id(id);
  return cat(root, "/", id);
}

std::string current_boot_id() {
  char text[sys::kBootIdSize + 1];
  if (int r = sys::read_boot_id(text)) throw Error("read the boot id", r);
  return text;
}

// ENOSPC and EDQUOT come from write(2) or close(2); the temporary file is taken away again, so
// that a full file system is not kept full by it.
void write_file(const sys::Fd& dir, const char* name, int flags, std::string_view bytes) {
  sys::Fd file = sys::open_at(dir, name, O_WRONLY | O_CREAT | O_NONBLOCK | flags, 0, 0600);
  int error = file ? sys::write_all(file, bytes) : -file.error();
  if (!error) return;
  if (file) sys::unlink_at(dir, name);
  throw Error(cat("write ", name, " in the state directory"), error);
}

// Frozen by cgroup.freeze, ours or an ancestor's. No cgroup, no freezing.
bool is_frozen(const std::string& cgroup_path) {
  if (cgroup_path.empty()) return false;
  std::string events;
  std::string path = cat("/sys/fs/cgroup", cgroup_path, "/cgroup.events");
  int r = sys::read_file(At::cwd(), path.c_str(), events);
  if (r == -ENOENT || r == -ENODEV) return false;  // removed, perhaps while it was read
  if (r) throw Error(cat("read ", path), r);
  return events.find("frozen 1\n") != events.npos;
}

}  // namespace

std::string_view status_name(Status status) {
  static constexpr std::string_view kNames[] = {"creating", "created", "running", "paused",
                                                "stopped"};
  return kNames[static_cast<size_t>(status)];
}

bool is_good_id(std::string_view id) {
  return spec::is_container_id(id) && id.size() <= NAME_MAX && id.front() != '.';
}

void check_id(std::string_view id) {
  if (is_good_id(id)) return;
  throw Error(cat(messages::kInvalidId, ": ", spec::quoted(id.substr(0, NAME_MAX))));
}

// ---- making and opening
// --------------------------------------------------------------------------

Container::Container(std::string path, std::string_view id) : path_(std::move(path)) {
  record_.id = id;
}

void Container::fail_missing() const {
  throw Error(cat(messages::kDoesNotExist, ": ", record_.id));
}

// False: there is none. The directory itself: a symlink planted in its place is refused.
bool Container::open_directory() {
  dir_ = sys::open_at(At::cwd(), path_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (dir_.error() == ENOENT) return false;
  if (!dir_) throw Error(cat("open state directory ", path_), dir_.error());
  return true;
}

Container Container::create_new(const std::string& root, std::string_view id) {
  Container c(directory_of(root, id), id);
  int r = sys::mkdir_at(At::cwd(), c.path_.c_str(), 0700);
  if (r == -EEXIST) throw Error(cat(messages::kIdExists, ": ", id));
  if (r) throw Error(cat("make state directory ", c.path_), r);
  try {
    // A `delete --force` may come in between.
    if (!c.open_directory()) c.fail_missing();
    c.lock();
    c.record_.boot_id = current_boot_id();
    if (int e = sys::self_id(c.record_.creator)) throw Error("read own start time", e);
  } catch (Error&) {
    sys::rmdir_at(At::cwd(), c.path_.c_str());  // nothing is in it; the first error counts
    throw;
  }
  c.record_.created = sys::rfc3339_now(true);
  c.record_.owner = sys::effective_uid();
  return c;
}

Container Container::open(const std::string& root, std::string_view id) {
  Container c(directory_of(root, id), id);
  if (!c.open_directory() || !c.load() || !c.has_record_) c.fail_missing();
  return c;
}

Container Container::open_locked(const std::string& root, std::string_view id) {
  Container c(directory_of(root, id), id);
  if (!c.open_directory() || !c.try_lock() || !c.has_record_) c.fail_missing();
  return c;
}

std::optional<Container> Container::open_for_removal(const std::string& root, std::string_view id) {
  Container c(directory_of(root, id), id);
  if (!c.open_directory() || !c.try_lock()) return std::nullopt;
  return c;
}

void Container::lock() {
  take_lock();
  struct stat st;
  if (int r = sys::stat_fd(dir_, st)) throw Error(path_, r);
  if (st.st_nlink == 0) fail_missing();
}

// Locks and reads the record; false if the directory was deleted while we waited.
bool Container::try_lock() {
  take_lock();
  return load();
}

void Container::take_lock() {
  int r = sys::lock_exclusive(dir_, kLockTimeout);
  if (r == -ETIMEDOUT) {
    throw Error(cat("container ", id(), " is locked by process ", sys::lock_holder(dir_),
                    " (waited ", kLockTimeout / 1000, " s)"));
  }
  if (r) throw Error(cat("lock ", path_), r);
}

void Container::unlock() { sys::unlock(dir_); }

// False if the directory is deleted (another container may have its name by now). An empty file is
// what a power cut leaves of a rename without fsync; nothing of that boot lives.
bool Container::load() {
  struct stat st;
  if (int r = sys::stat_fd(dir_, st)) throw Error(path_, r);
  if (st.st_nlink == 0) return false;
  check_private(st, path_);
  std::string text;
  int r = sys::read_regular_file(dir_, kRecord, text);
  if (r && r != -ENOENT) throw Error(cat("read ", path_, "/", kRecord), r);
  has_record_ = !text.empty();
  if (has_record_) take_record(std::move(text));
  return true;
}

// A record that was copied from another container's directory names what is that one's.
void Container::take_record(std::string text) {
  const std::string file = cat(path_, "/", kRecord);
  Record record = parse_record(std::move(text), file);
  if (record.id != record_.id)
    throw Error(cat(file, ": id: ", spec::quoted(record.id), " is another container's"));
  record_ = std::move(record);
}

// ---- contents
// --------------------------------------------------------------------------------------

// Exchanged, and the old one unlinked: as atomic as a rename over it, which on ext4 would wait for
// the disk (mount option auto_da_alloc; some state roots are not on tmpfs). renameat2(2).
int Container::replace_record() {
  const int r = sys::exchange_at(dir_, kRecordNew, kRecord);
  if (r == -EINVAL) return sys::rename_at(dir_, kRecordNew, dir_, kRecord);  // not everywhere
  return r ? r : sys::unlink_at(dir_, kRecordNew);
}

void Container::save() {
  check(record_);  // or no later command could read it
  // The first one needs no second name: until it is there the container does not exist for others.
  if (!has_record_) {
    write_file(dir_, kRecord, O_EXCL, to_json(record_));
    has_record_ = true;
    return;
  }
  write_file(dir_, kRecordNew, O_TRUNC, to_json(record_));
  if (int r = replace_record()) throw Error(cat("rename ", kRecordNew), r);
}

void Container::save_config(std::string_view bytes) { write_file(dir_, kConfig, O_EXCL, bytes); }

std::string Container::config_text() const {
  std::string text;
  if (int r = sys::read_regular_file(dir_, kConfig, text)) throw Error(cat(path_, "/", kConfig), r);
  return text;
}

sys::Fd Container::bind_start_socket() {
  sys::Fd socket = sys::listen_at(dir_, kStartSocket, SOCK_SEQPACKET);
  if (!socket) throw Error(cat("bind ", path_, "/", kStartSocket), socket.error());
  return socket;
}

sys::Fd Container::connect_start_socket() const {
  return sys::connect_at(dir_, kStartSocket, SOCK_SEQPACKET);
}

void Container::remove_start_socket() {
  int r = sys::unlink_at(dir_, kStartSocket);
  if (r && r != -ENOENT) throw Error(cat("unlink ", path_, "/", kStartSocket), r);
}

sys::Fd Container::make_report(size_t size) {
  constexpr int kFlags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC;
  sys::Fd file = sys::open_at(dir_, kReport, kFlags, 0, 0600);
  if (!file) throw Error(cat("create ", path_, "/", kReport), file.error());
  if (int r = sys::write_all(file, std::string(size, '\0')))
    throw Error(cat("write ", path_, "/", kReport), r);
  return file;
}

sys::Fd Container::open_report() const {
  return sys::open_at(dir_, kReport, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

// The record goes first: nothing it names is left, and a directory without one is free to be
// removed by anybody. The names known go one by one; anything else (a notify directory, the
// temporary file of a save that was killed) is left to the walk.
void Container::remove() {
  for (const char* name : {kRecord, kConfig, kReport}) {
    int r = sys::unlink_at(dir_, name);
    if (r && r != -ENOENT) throw Error(cat("unlink ", path_, "/", name), r);
  }
  int r = sys::rmdir_at(At::cwd(), path_.c_str());
  if (r == -ENOTEMPTY || r == -EEXIST) r = sys::remove_tree(At::cwd(), path_.c_str());
  if (r && r != -ENOENT) throw Error(cat("remove ", path_), r);
}

// ---- status
// ----------------------------------------------------------------------------------------

// A process of the record: pids and start times mean something in the boot they come from only.
sys::Fd Container::open_recorded(const sys::ProcessId& process) const {
  if (!has_record_ || process.pid == 0) return sys::Fd(-ESRCH);
  char boot[sys::kBootIdSize + 1];
  if (int r = sys::read_boot_id(boot)) return sys::Fd(r);
  if (record_.boot_id != boot) return sys::Fd(-ESRCH);
  return sys::open_process(process);
}

bool Container::same_boot() const { return record_.boot_id == current_boot_id(); }

sys::Fd Container::pidfd() const { return open_recorded(record_.process); }

// creating   phase creating, and whoever creates it lives (else: stopped; its init died with it)
// created    the first process lives, start.sock is there
// running    the first process lives, start.sock is gone
// paused     as these, and the cgroup is frozen
// stopped    the first process has ended, its pid is another's, or the machine was rebooted
Status Container::status() const {
  if (!has_record_) return Status::kStopped;
  bool creating = record_.phase == Phase::kCreating;
  const sys::ProcessId& subject = creating ? record_.creator : record_.process;
  sys::Fd process = open_recorded(subject);
  if (process.error() == ESRCH) return Status::kStopped;
  if (!process) throw Error(cat("look at process ", subject.pid), process.error());
  if (creating) return Status::kCreating;
  if (is_frozen(record_.cgroup_path)) return Status::kPaused;
  struct stat st;
  int r = sys::lstat_at(dir_, kStartSocket, st);
  if (r && r != -ENOENT) throw Error(cat("look at ", path_, "/", kStartSocket), r);
  return r ? Status::kRunning : Status::kCreated;
}

std::vector<std::string> list_ids(const RootChoice& root) {
  std::vector<sys::DirEntry> entries;
  int r = sys::list_dir(At::cwd(), root.path.c_str(), entries);
  if (r == -ENOENT && !root.from_option) return {};
  if (r) throw Error(cat("read state root ", root.path), r);
  std::vector<std::string> ids;
  for (sys::DirEntry& entry : entries) {
    if (entry.name.front() != '.') ids.push_back(std::move(entry.name));
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

}  // namespace coracle::store
