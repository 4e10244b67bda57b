// One container in the state root: its directory, its lock, its record, its status.
//
//   ROOT/                 0700
//     ID/                 0700; flock(2) on this directory is the container's lock
//       state.json        the record (record.h), replaced by rename, so readers need no lock
//       config.json       the bundle's configuration, byte by byte as it was at `create`
//       report            the init's last words (plan::Report)
//       start.sock        the init waits on it; gone as soon as `start` goes ahead
//
// Write-ahead: the record {creating, boot id, cgroup path, creator} is on disk before any kernel
// object exists, so `delete` can undo a create killed at any instruction.
//
// Locking: create, start, kill, delete and the registering of an exec hold the lock; state and list
// do not. The lock dies with its holder (or with unlock() or the Container), and is never held
// while the user's program or poststop hooks run.
//
// All functions throw spec::Error unless they say otherwise.
#pragma once

#include <stdint.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/store/record.h"
#include "runtime/store/root.h"
#include "runtime/sys/fd.h"
#include "runtime/sys/process.h"

namespace coracle::store {

enum class Status : uint8_t { kCreating, kCreated, kRunning, kPaused, kStopped };
std::string_view status_name(Status status);  // as in the state document: "created", ...

class Container {
 public:
  // Makes ROOT/ID (the root by prepare_root before) and locks it. record() holds the id, the boot
  // id, the creator (this process), the time, the owner and phase kCreating; nothing of it is on
  // disk before save(). Fails with "container with given ID already exists" and for an ill-formed
  // id.
  static Container create_new(const std::string& root, std::string_view id);

  // Without the lock: for state, list, ps. "container does not exist" if there is none, or if its
  // creation was interrupted before the first save().
  static Container open(const std::string& root, std::string_view id);

  // With the lock; the record is read under it. Waits for the lock 10 s, then names the holder.
  static Container open_locked(const std::string& root, std::string_view id);

  // As open_locked, for delete: empty if there is no such container; a directory without a record
  // is no error (has_record() is false, status() is kStopped, remove() works).
  static std::optional<Container> open_for_removal(const std::string& root, std::string_view id);

  Container(Container&&) = default;
  Container& operator=(Container&&) = default;

  // For whoever let go of the lock (while the program runs) and wants it back. The record in memory
  // stays as it was; throws if the container was deleted meanwhile.
  void lock();
  void unlock();

  const std::string& id() const { return record_.id; }
  const std::string& path() const { return path_; }  // ROOT/ID, for messages and hooks
  const sys::Fd& dir() const { return dir_; }        // ROOT/ID
  bool has_record() const { return has_record_; }

  Record& record() { return record_; }
  const Record& record() const { return record_; }
  // Writes the record (temporary file and rename). A full disk is a clean error: the old record
  // stands.
  void save();

  void save_config(std::string_view bytes);
  std::string config_text() const;

  // Derived afresh by every call: see the file's top comment and container.cc.
  Status status() const;
  // A pidfd of the first process, or -ESRCH in it when that has ended (reuse of the pid and a
  // reboot included), or another -errno. Does not throw.
  sys::Fd pidfd() const;

  // False after a reboot: then nothing that the record names exists any more, and whatever has the
  // same name or number is something else.
  bool same_boot() const;

  // The listening end of start.sock (SOCK_SEQPACKET), for create; the init accepts on it.
  sys::Fd bind_start_socket();
  // The other end, for start. Holds -errno where nobody waits any more (ECONNREFUSED, ENOENT).
  sys::Fd connect_start_socket() const;
  // After this the status is no longer "created". A missing socket is no error.
  void remove_start_socket();

  // The page in which the init tells why it failed (`size` bytes, on disk as a whole: a full disk
  // is an error here, not a fault there), for create; and for start, to read it.
  sys::Fd make_report(size_t size);
  sys::Fd open_report() const;  // holds -errno

  // Removes ROOT/ID. The last act of delete, and of a create that failed.
  void remove();

 private:
  Container(std::string path, std::string_view id);
  [[noreturn]] void fail_missing() const;
  bool open_directory();
  bool try_lock();
  void take_lock();
  int replace_record();
  bool load();
  void take_record(std::string text);
  sys::Fd open_recorded(const sys::ProcessId& process) const;

  std::string path_;
  sys::Fd dir_;
  bool has_record_ = false;
  Record record_;
};

// Ids of all containers, sorted. A missing root is an empty list, unless it came from --root.
std::vector<std::string> list_ids(const RootChoice& root);

// One to 255 (NAME_MAX) of [A-Za-z0-9_+.-], and does not start with a dot.
bool is_good_id(std::string_view id);
// Throws "invalid container ID format" unless it is. Every function above calls it.
void check_id(std::string_view id);

}  // namespace coracle::store
