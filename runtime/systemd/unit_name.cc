#include "runtime/systemd/unit_name.h"

#include "spec/error.h"
#include "spec/text.h"

namespace coracle::systemd {
namespace {

using spec::cat;
using spec::Error;

constexpr char kOrigin[] = "linux.cgroupsPath";
constexpr std::string_view kSlice = ".slice";
constexpr size_t kLongest = 255;  // UNIT_NAME_MAX

// systemd.unit(5): letters, digits and ":-_.\"; "@" makes it an instance.
bool is_unit_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view(":-_.\\@").find(c) != std::string_view::npos;
}

void check_unit(std::string_view unit) {
  for (char c : unit) {
    if (is_unit_character(c)) continue;
    throw Error::at(kOrigin, cat(spec::quoted(unit), " is no name of a systemd unit: ",
                                 spec::quoted(std::string_view(&c, 1))));
  }
  if (unit.size() <= kLongest) return;
  throw Error::at(kOrigin, "the name of the systemd unit has more than 255 characters");
}

// The one character of container ids that units' names cannot have, as systemd-escape(1) does it.
std::string escape(std::string_view id) {
  std::string out;
  for (char c : id) {
    if (c == '+') {
      out += "\\x2b";
    } else {
      out.push_back(c);
    }
  }
  return out;
}

}  // namespace

std::string slice_path(std::string_view slice) {
  if (slice == "-.slice") return "";
  const bool good = slice.size() > kSlice.size() && slice.ends_with(kSlice) && slice[0] != '-';
  if (!good) throw Error::at(kOrigin, cat(spec::quoted(slice), " is no name of a systemd slice"));
  check_unit(slice);
  const std::string_view name = slice.substr(0, slice.size() - kSlice.size());
  std::string path;
  for (size_t dash = name.find('-');; dash = name.find('-', dash + 1)) {
    const bool empty = dash != name.npos && (dash + 1 == name.size() || name[dash + 1] == '-');
    if (empty) throw Error::at(kOrigin, cat(spec::quoted(slice), " has an empty part"));
    spec::append(path, '/', name.substr(0, dash), kSlice);
    if (dash == name.npos) return path;
  }
}

UnitName settle_unit(std::string_view cgroups_path, std::string_view id, bool user) {
  UnitName out;
  out.slice = user ? "user.slice" : "system.slice";
  if (cgroups_path.empty()) {
    out.unit = cat("coracle-", escape(id), ".scope");
  } else {
    const size_t first = cgroups_path.find(':');
    const size_t second = first == cgroups_path.npos ? first : cgroups_path.find(':', first + 1);
    if (second == cgroups_path.npos || cgroups_path.find(':', second + 1) != cgroups_path.npos) {
      throw Error::at(kOrigin,
                      cat("expected the form \"slice:prefix:name\" for systemd cgroups, got ",
                          spec::quoted(cgroups_path), " instead"));
    }
    const std::string_view prefix = cgroups_path.substr(first + 1, second - first - 1);
    const std::string_view name = cgroups_path.substr(second + 1);
    if (name.empty()) throw Error::at(kOrigin, "the name behind the second colon is empty");
    if (first != 0) out.slice = cgroups_path.substr(0, first);
    out.unit = name.ends_with(kSlice) ? std::string(name) : cat(prefix, '-', name, ".scope");
  }
  check_unit(out.unit);
  out.path = out.is_slice() ? slice_path(out.unit) : cat(slice_path(out.slice), '/', out.unit);
  if (out.path.empty()) throw Error::at(kOrigin, "must not be the root of all cgroups");
  return out;
}

}  // namespace coracle::systemd
