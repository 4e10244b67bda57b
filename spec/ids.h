#pragma once
// The small grammars of the command line and of single strings in a configuration: what is
// accepted, and what it means as a number. Pure; nothing here looks at the host. parse_...
// functions throw Error, others return an empty optional or false.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace coracle::spec {

// Container ID: 1 to 1024 of [A-Za-z0-9_+.-], but not "." or "..".
bool is_container_id(std::string_view id);
// Throws `invalid container ID format: "x"` (wording that callers and their tests know).
void check_container_id(std::string_view id);

// --user: UID or UID:GID in decimal; names are for upper levels. The id 2^32-1 is the kernel's
// "no id" and refused.
struct UserIds {
  uint32_t uid = 0;
  std::optional<uint32_t> gid;
};
UserIds parse_user(std::string_view text);

// A decimal number without sign, spaces or anything behind, up to `max`.
std::optional<uint64_t> parse_number(std::string_view text, uint64_t max = UINT64_MAX);

// A signal: 0 to 64 in decimal, or a name of signal(7) in any case with or without SIG; RTMIN,
// RTMIN+n, RTMAX, RTMAX-n with RTMIN 34 (as glibc and engines count, whatever our libc does).
int parse_signal(std::string_view text);
// "SIGTERM"; "SIGRTMIN+3"; "" if there is no such signal.
std::string signal_name(int number);

// A list of CPUs or memory nodes, "0-3,7" (cpuset(7), "List format"). Spaces and a final newline
// are allowed around numbers. Ranges are inclusive and in the order given; numbers up to 65535.
using NumberRanges = std::vector<std::pair<uint32_t, uint32_t>>;
std::optional<NumberRanges> parse_number_list(std::string_view text);
// The same numbers in ascending order, each once. A list of a megabyte may name each CPU 100,000
// times.
NumberRanges merge_ranges(NumberRanges ranges);

// Bytes: a number with an optional unit b, k, m, g, t or p in any case, optionally followed by
// "b" or "ib" (base 1024 always), or -1 for unlimited.
int64_t parse_size(std::string_view text);

// True if the cgroup path is non-empty and free of `..` components, of newlines and of other
// control characters. (Whether it has the form slice:prefix:name is up to the driver.)
bool is_cgroup_path(std::string_view path);

// The path below /proc/sys of a sysctl key. As in sysctl(8) the first separator decides: in
// "net.ipv4.conf.eno2/100.mtu" dots separate and slashes stand for dots, in
// "net/ipv4/conf/eno2.100/mtu" it is the other way round; both give the latter. Empty if the key
// is malformed (empty, an empty component, "." or "..", control characters).
std::optional<std::string> sysctl_path(std::string_view key);

// capabilities(7): the 41 of Linux 5.9 and later, by their numbers.
inline constexpr int kCapabilityCount = 41;
std::optional<int> capability_number(std::string_view name);  // "CAP_CHOWN", exactly
std::string_view capability_name(int number);                 // "" if there is none

// getrlimit(2): RLIMIT_* and the kernel's number of this architecture.
std::optional<int> rlimit_number(std::string_view name);  // "RLIMIT_NOFILE", exactly
std::string_view rlimit_name(int number);                 // "" if there is none

// A version of the form that semver.org 2.0.0 defines. nullopt if it is not.
struct Version {
  uint32_t major = 0;
  uint32_t minor = 0;
  uint32_t patch = 0;
  std::string_view prerelease = "";  // "rc.1" of 1.3.0-rc.1
};
std::optional<Version> parse_version(std::string_view text);

// A network interface name as the kernel accepts it (dev_valid_name): 1 to 15 bytes, not "." or
// "..", without '/', ':' and white space.
bool is_interface_name(std::string_view name);

}  // namespace coracle::spec
