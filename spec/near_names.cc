#include "spec/near_names.h"

#include <algorithm>

#include "spec/text.h"

namespace coracle::spec {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same(char a, char b) { return lower(a) == lower(b); }

// What follows the common beginning and precedes the common end is all that differs.
void cut_common(std::string_view& a, std::string_view& b) {
  while (!a.empty() && !b.empty() && same(a.front(), b.front())) {
    a.remove_prefix(1);
    b.remove_prefix(1);
  }
  while (!a.empty() && !b.empty() && same(a.back(), b.back())) {
    a.remove_suffix(1);
    b.remove_suffix(1);
  }
}

}  // namespace

bool differ_by_case(std::string_view a, std::string_view b) {
  return a != b && std::equal(a.begin(), a.end(), b.begin(), b.end(), same);
}

bool is_near(std::string_view a, std::string_view b) {
  const size_t shorter = std::min(a.size(), b.size());
  const size_t longer = std::max(a.size(), b.size());
  if (a == b || longer > shorter + 1) return false;
  if (differ_by_case(a, b)) return true;
  if (shorter < 3) return false;
  cut_common(a, b);
  const bool swapped = a.size() == 2 && b.size() == 2 && same(a[0], b[1]) && same(a[1], b[0]);
  return swapped || (a.size() <= 1 && b.size() <= 1);
}

std::string bind_hint(const Strings& options) {
  for (std::string_view option : options)
    if (is_near(option, "rbind") || is_near(option, "bind"))
      return cat("; ", quoted(option), " is neither");
  return "";
}

}  // namespace coracle::spec
