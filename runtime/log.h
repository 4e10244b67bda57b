// What goes wrong, and what is worth telling, to whoever called: the one place that makes records.
//
// A failure is exactly one record in the --log file and the same words on stderr, with control
// characters shown as \xNN; with --log-format json and no --log the record is what stderr gets.
// containerd's shim takes the last record of level "error", Podman reads the file as a single JSON
// object and falls back to stderr. Warnings and debug messages go to the log file, or to stderr
// without one.
//
// JSON keys: level, msg, time. Nothing is opened before the first record is written.
//
// --log journald:NAME and syslog:NAME send each record to that service under NAME instead, in its
// own form (systemd.journal-fields(7), syslog(3)); file:PATH is a file whatever its name looks
// like.
#pragma once

#include <string>
#include <string_view>

#include "runtime/sys/fd.h"

namespace coracle::log {

enum class Level { kError, kWarning, kInfo, kDebug };

enum class Sink { kFile, kJournal, kSyslog };

struct Settings {
  std::string path;  // of a file, absolute; "": stderr
  bool json = false;
  Level level = Level::kWarning;
  Sink sink = Sink::kFile;
  std::string name;  // for the sinks that are no file
};

void configure(Settings settings);
// Whether records will find their place: 0 or -errno. Makes the file, and reserves room for a
// record in it where the file system can (fallocate(2)), so that a full disk shows before anything
// is done.
int check_sink();
// For a process that stays behind: every record goes to this open descriptor (borrowed, for the
// rest of the process's life; null: as configured), and one that cannot be written at once is lost.
void use_descriptor(const sys::Fd* sink);
const sys::Fd* descriptor();
bool enabled(Level level);  // to spare the making of words nobody reads

void debug(std::string_view words);
void info(std::string_view words);
void warning(std::string_view words);
// Reports why the process is about to end. Once.
void failure(std::string_view words);

// One record as it is written, with the newline; for tests and for other sinks.
std::string journal_record(std::string_view name, Level level, std::string_view words);
std::string syslog_record(std::string_view name, Level level, std::string_view words);
std::string format_record(bool json, Level level, std::string_view words, std::string_view time);

}  // namespace coracle::log
