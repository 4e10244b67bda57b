#pragma once
// What the files of the validation share.

#include <string>
#include <string_view>
#include <vector>

#include "spec/error.h"
#include "spec/json_position.h"
#include "spec/names.h"
#include "spec/text.h"
#include "spec/validate.h"

namespace coracle::spec {

void validate_linux(const Spec& spec, Warnings& warnings);
void validate_namespaces(const Linux& section);
// User namespace mappings, and that the process' ids are mapped (config.md, "User": ids are those
// "in the container namespace").
void validate_id_maps(const Spec& spec);
void validate_devices(const Linux& section, Warnings& warnings);
void validate_sysctl(const Spec& spec);
void validate_seccomp(const LinuxSeccomp& seccomp);
void validate_memory_policy(const LinuxMemoryPolicy& policy);

// Where a value is, put into words only if something is wrong with it. A link to the enclosing
// place, which must outlive it: name the parts one by one, do not chain into a variable.
//   Where rule = rules[i];  fail(rule / "action", "...");
class Where {
 public:
  Where(const char* path) : key_(path) {}
  Where operator/(std::string_view key) const { return {this, key, kNoIndex}; }
  Where operator[](size_t index) const { return {this, {}, index}; }
  std::string text() const {
    if (!parent_) return std::string(key_);
    std::string out = parent_->text();
    if (index_ == kNoIndex) {
      append_path_key(out, key_);
    } else {
      append(out, "[", index_, "]");
    }
    return out;
  }

 private:
  static constexpr size_t kNoIndex = SIZE_MAX;
  Where(const Where* parent, std::string_view key, size_t index)
      : parent_(parent), key_(key), index_(index) {}

  const Where* parent_ = nullptr;
  std::string_view key_;
  size_t index_ = kNoIndex;
};

[[noreturn]] inline void fail(const Where& where, std::string reason) {
  throw Error::at(where.text(), std::move(reason));
}

inline void warn(Warnings& warnings, const Where& where, std::string_view what) {
  warnings.push_back(cat(where.text(), ": ", what));
}

// One list of mappings.
void validate_mappings(const std::vector<LinuxIDMapping>& mappings, const Where& where);

inline bool is_absolute(std::string_view path) { return path.starts_with('/'); }

// True if all ids from `id` on, `count` of them, lie in one of the mappings.
inline bool is_mapped(const std::vector<LinuxIDMapping>& mappings, uint32_t id) {
  for (const LinuxIDMapping& entry : mappings) {
    if (id >= entry.containerID && id - entry.containerID < entry.size) return true;
  }
  return false;
}

template <typename Table>
bool is_listed(const Table& table, std::string_view name) {
  if constexpr (requires { value_of(table, name); }) {
    return value_of(table, name).has_value();
  } else {
    return contains(table, name);
  }
}

// Throws unless `name` is in the table of names.
template <typename Table>
void check_name(const Table& table, std::string_view name, const Where& where) {
  if (!is_listed(table, name)) fail(where, cat("unknown value ", quoted(name)));
}

// The same for each element of a list.
template <typename Table>
void check_names(const Table& table, const Strings& names, const Where& where) {
  for (size_t i = 0; i < names.size(); ++i) check_name(table, names[i], where[i]);
}

}  // namespace coracle::spec
