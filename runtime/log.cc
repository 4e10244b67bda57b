#include "runtime/log.h"

#include <utility>

#include "runtime/sys/clock.h"
#include "runtime/sys/file.h"
#include "runtime/sys/stdio.h"
#include "spec/json_write.h"
#include "spec/text.h"

namespace coracle::log {
namespace {

Settings g_settings;  // the log sink: the one global

constexpr std::string_view kNames[] = {"error", "warning", "info", "debug"};

void write_record(Level level, std::string_view words) {
  std::string record = format_record(g_settings.json, level, words, sys::rfc3339_now(false));
  if (g_settings.path.empty()) {
    sys::print_error(record);
    return;
  }
  // Opened each time: there is at most a handful, and no descriptor lies about meanwhile.
  constexpr int kFlags = O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY;
  sys::Fd file = sys::open_at(sys::At::cwd(), g_settings.path.c_str(), kFlags, 0, 0644);
  int error = file ? sys::write_all(file, record) : -file.error();
  // A log that cannot be written must not hide what was to be said.
  if (error) sys::print_error(spec::cat("cannot write to ", g_settings.path, ": ", record));
}

}  // namespace

void configure(Settings settings) { g_settings = std::move(settings); }

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
  if (!g_settings.path.empty()) write_record(Level::kError, words);
  sys::print_error(spec::cat(words, "\n"));
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
