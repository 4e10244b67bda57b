#include "runtime/log.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "runtime/sys/clock.h"
#include "runtime/sys/file.h"
#include "runtime/sys/stdio.h"
#include "runtime/sys/unix_socket.h"
#include "spec/json_write.h"
#include "spec/text.h"

namespace coracle::log {
namespace {

Settings g_settings;              // the log sink: the one global
const sys::Fd* g_sink = nullptr;  // ... in a process that stays behind

constexpr std::string_view kNames[] = {"error", "warning", "info", "debug"};

// RFC 5424, "severity": error, warning, informational, debug.
constexpr int kSeverities[] = {3, 4, 6, 7};
int severity(Level level) { return kSeverities[static_cast<size_t>(level)]; }

const char* service_of(Sink sink) {
  return sink == Sink::kJournal ? "/run/systemd/journal/socket" : "/dev/log";
}

void send_record(const char* service, std::string_view record, std::string_view words) {
  const sys::Fd socket = sys::connect_path(service, SOCK_DGRAM);
  const int error = socket ? sys::write_all(socket, record) : -socket.error();
  if (error)
    sys::print_error(spec::cat("failed to write to ", service, ": ", spec::printable(words), "\n"));
}

void write_record(Level level, std::string_view words) {
  if (g_settings.sink == Sink::kJournal)
    return send_record(service_of(Sink::kJournal), journal_record(g_settings.name, level, words),
                       words);
  if (g_settings.sink == Sink::kSyslog)
    return send_record(service_of(Sink::kSyslog), syslog_record(g_settings.name, level, words),
                       words);
  std::string record = format_record(g_settings.json, level, words, sys::rfc3339_now(false));
  if (g_sink != nullptr) {
    sys::write_all(*g_sink, record);  // its reader is slow or gone: what is served matters more
    return;
  }
  if (g_settings.path.empty()) {
    sys::print_error(record);
    return;
  }
  // Opened each time: there is at most a handful, and no descriptor lies about meanwhile.
  constexpr int kFlags = O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY;
  sys::Fd file = sys::open_at(sys::At::cwd(), g_settings.path.c_str(), kFlags, 0, 0644);
  int error = file ? sys::write_all(file, record) : -file.error();
  // A log that cannot be written must not hide what was to be said.
  if (error)
    sys::print_error(
        spec::cat("failed to write to ", spec::printable(g_settings.path), ": ", record));
}

}  // namespace

void configure(Settings settings) { g_settings = std::move(settings); }

static int check_file(const char* path) {
  constexpr off_t kRoom = 4096;
  // Not blocking: a fifo without a reader is of no use (ENXIO).
  constexpr int kFlags = O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY | O_NONBLOCK;
  const sys::Fd file = sys::open_at(sys::At::cwd(), path, kFlags, 0, 0644);
  if (!file) return -file.error();
  if (write(file.get(), "", 0) < 0 && errno == ENOSPC) return -ENOSPC;  // /dev/full
  const off_t size = lseek(file.get(), 0, SEEK_END);
  if (size < 0 || fallocate(file.get(), FALLOC_FL_KEEP_SIZE, size, kRoom) == 0) return 0;
  return errno == ENOSPC || errno == EDQUOT ? -errno : 0;
}

int check_sink() {
  if (g_settings.sink == Sink::kFile)
    return g_settings.path.empty() ? 0 : check_file(g_settings.path.c_str());
  const sys::Fd socket = sys::connect_path(service_of(g_settings.sink), SOCK_DGRAM);
  return socket ? 0 : -socket.error();
}

void use_descriptor(const sys::Fd* sink) { g_sink = sink; }

const sys::Fd* descriptor() { return g_sink; }

bool enabled(Level level) { return level <= g_settings.level; }

void debug(std::string_view words) {
  if (enabled(Level::kDebug)) write_record(Level::kDebug, words);
}

void info(std::string_view words) {
  if (enabled(Level::kInfo)) write_record(Level::kInfo, words);
}

void warning(std::string_view words) {
  if (enabled(Level::kWarning)) write_record(Level::kWarning, words);
}

void failure(std::string_view words) {
  const bool elsewhere =
      !g_settings.path.empty() || g_settings.sink != Sink::kFile || g_sink != nullptr;
  if (elsewhere || g_settings.json) write_record(Level::kError, words);
  if (elsewhere || !g_settings.json) sys::print_error(spec::printable(words) + "\n");
}

// The message in the binary form, which may hold newlines: name, newline, length as 64 bits with
// the lowest byte first, bytes, newline (systemd's native journal protocol).
std::string journal_record(std::string_view name, Level level, std::string_view words) {
  std::string record =
      spec::cat("PRIORITY=", severity(level), "\nSYSLOG_IDENTIFIER=", name, "\nMESSAGE\n");
  for (int shift = 0; shift < 64; shift += 8)
    record += static_cast<char>((uint64_t{words.size()} >> shift) & 0xff);
  return spec::append(record, words, "\n"), record;
}

// As syslog(3) sends it to a local daemon; the time is the daemon's to add.
std::string syslog_record(std::string_view name, Level level, std::string_view words) {
  constexpr int kDaemon = 3 << 3;
  return spec::cat("<", kDaemon | severity(level), ">", name, ": ", words);
}

// Text is the form logfmt readers know: time="..." level=error msg="..."
std::string format_record(bool json, Level level, std::string_view words, std::string_view time) {
  std::string_view name = kNames[static_cast<size_t>(level)];
  if (!json) {
    return spec::cat("time=\"", time, "\" level=", name, " msg=", spec::quoted(words), "\n");
  }
  spec::JsonWriter writer(spec::JsonStyle::kCompact);
  writer.begin_object().add("level", name).add("msg", words).add("time", time).end_object();
  return writer.take() + "\n";
}

}  // namespace coracle::log
