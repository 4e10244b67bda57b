// A container's systemd unit: its properties, out of what the bundle asks for. Pure.
//
// Each limit is given to systemd where it has a property for it, so that it does not set another
// one behind our back (it writes all of them anew at daemon-reload), and is written to the cgroup
// besides: systemd rounds some, and lacks others.
//
// Device rules are not among the properties. A device program of ours, attached beside whatever
// systemd attaches, is one that systemd does not know and therefore neither removes nor replaces
// at daemon-reload. Of DeviceAllow= it makes a program of its own at every reload, without what a
// GPU plugin has allowed meanwhile (NVIDIA/nvidia-container-toolkit issue 48) and without nodes
// that have no link below /dev/char; and a pinned program (BPFProgram=) it detaches at a reload
// before it attaches it again, or not, if the pin is gone. tests/vm/test_systemd.py holds this.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/plan/limits.h"
#include "spec/spec.h"

namespace coracle::plan {

struct UnitProperty {
  std::string name;  // "MemoryMax"
  std::string type;  // D-Bus signature: b i u x t s as ay a(st)
  // b i u x t: the one number; ay: a number for each byte; a(st): the numbers.
  std::vector<uint64_t> numbers = {};
  std::vector<std::string> strings = {};  // s: the one string; as; a(st): the strings
  std::string origin = "";                // JSON path
};

// The properties for these writes, as far as systemd of this version knows them (0: of unknown
// version, taken for the oldest).
std::vector<UnitProperty> limit_properties(const std::vector<LimitWrite>& writes, uint32_t version);

// The annotations org.systemd.property.NAME. NAME is of letters, three at least; the value a
// GVariant text (the one of GLib) of one of these forms: true, 'text', ['a', 'b'], [byte 1, 2],
// @as [], 5, 0x5, and with a type in front: int32, uint32, int64, uint64, boolean, string, or as
// GVariant's type string, @t. A number without one is of the type that systemd's property of this
// name has where that is t (...USec, MemoryMax, ...Weight), else int32. A NAME that ends in "Sec"
// behind a lower-case letter is the one in "USec", its number (with a fraction, perhaps) in
// seconds. Properties that decide over the container's confinement are refused. Throws spec::Error
// at the annotation.
std::vector<UnitProperty> annotation_properties(const spec::Map<std::string_view>& annotations);

// "MemoryMax = 1000": for the plan in words.
std::string unit_value_text(std::string_view type, const uint64_t* numbers, size_t number_count,
                            const std::vector<std::string_view>& strings);

}  // namespace coracle::plan
