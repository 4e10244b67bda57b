// What the fuzz targets share. A target is a file NAME_fuzz.cc with LLVMFuzzerTestOneInput
// (llvm.org/docs/LibFuzzer.html); its seeds lie in corpus/NAME. Beside crashes and sanitizers'
// findings it holds properties: what was written is read back equal, a second reading gives the
// same, a message can be printed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "spec/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace coracle::fuzz {

inline std::string_view text_of(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// Takes the first byte off the input: which of `count` readers gets the rest.
inline size_t take_choice(std::string_view& input, size_t count) {
  if (input.empty()) return 0;
  const size_t choice = static_cast<unsigned char>(input.front()) % count;
  input.remove_prefix(1);
  return choice;
}

// Ends the process, which is a finding, unless `holds`.
void require(bool holds, const char* property, std::string_view value = {});

// A message goes to terminals and logs: it has no control characters.
void require_printable(std::string_view message);
void require_printable(const std::vector<std::string>& messages);

// A whole path without "." and "..", empty components and control characters.
bool is_clean_absolute(std::string_view path);

// Runs `reader`. spec::Error is an answer, whose words are looked at; every other exception is a
// finding. Returns whether the input was accepted.
template <class Reader>
bool accepts(Reader reader) {
  try {
    reader();
    return true;
  } catch (const spec::Error& error) {
    require(*error.what() != '\0', "an error says what is wrong");
    require_printable(error.what());
    return false;
  }
}

}  // namespace coracle::fuzz
