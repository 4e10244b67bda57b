#pragma once
// The one exception type above runtime/sys. It is thrown where something cannot go on, gains
// context on its way up (wrap), and is put into words once, at the top (what()).
//
//   throw Error("open /proc/self/uid_map", errno);           "open ...: Permission denied (EACCES)"
//   throw Error::at("linux.namespaces[1].type", "unknown");  "linux.namespaces[1].type: unknown"
//   catch (Error& e) { e.wrap("create"); throw; }            "create: open ...: ..."
//
// Nobody catches what he cannot handle: catch only to add context, to undo, or to report.

#include <exception>
#include <string>
#include <string_view>

namespace coracle::spec {

class Error : public std::exception {
 public:
  explicit Error(std::string message);
  // `err` is an errno value (positive; a negative one, as returned by runtime/sys, is negated).
  // Its words and name are appended to the message (errno_words.h), never its number.
  Error(std::string message, int err);

  // A fault of a JSON document: `path` names the value (process.rlimits[2].type,
  // annotations["org.x"]; empty for the document itself).
  static Error at(std::string path, std::string reason);

  // Puts "context: " in front. Returns *this, so `throw e.wrap(...)` reads well; inside a catch
  // block by reference prefer `e.wrap(...); throw;`.
  Error& wrap(std::string_view context);

  // Adds ": why" behind; code() stays.
  Error& explain(std::string_view why);

  // Says where in which file the fault lies; shown as "file:line:column: ". Both count from 1.
  Error& locate(std::string_view file, int line, int column);

  const char* what() const noexcept override { return message_.c_str(); }
  const std::string& path() const { return path_; }  // JSON path, "" if none
  int line() const { return line_; }                 // 0 if unknown
  int column() const { return column_; }             // 0 if unknown
  int code() const { return code_; }                 // errno value, 0 if none

 private:
  std::string message_;
  std::string path_;
  int line_ = 0;
  int column_ = 0;
  int code_ = 0;
};

}  // namespace coracle::spec
