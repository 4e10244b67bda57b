// SHA-256 (FIPS 180-4). Names sockets as containerd's own shims do; nothing secret depends on it.
#pragma once

#include <string>
#include <string_view>

namespace coracle::shim {

// 64 hexadecimal digits.
std::string sha256_hex(std::string_view bytes);

}  // namespace coracle::shim
