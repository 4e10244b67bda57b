// Our table of capabilities and the sets that the init gives itself, held to libcap: the product
// has a table of its own because libcap's constructor asks prctl(2) six times in every process.
#include <doctest/doctest.h>
#include <linux/capability.h>
#include <sys/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <string>

#include "spec/ids.h"

using namespace coracle::spec;

namespace {

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

std::string libcap_name(int number) {
  char* name = cap_to_name(static_cast<cap_value_t>(number));
  std::string copy = name;
  cap_free(name);
  return upper(copy);
}

}  // namespace

TEST_CASE("capabilities: numbers and names are libcap's") {
  for (int number = 0; number < kCapabilityCount; ++number) {
    CHECK(capability_name(number) == libcap_name(number));
    cap_value_t theirs = -1;
    REQUIRE(cap_from_name(std::string(capability_name(number)).c_str(), &theirs) == 0);
    CHECK(capability_number(capability_name(number)) == theirs);
  }
}

TEST_CASE("capabilities: libcap knows none that our table lacks") {
  cap_value_t number = 0;
  CHECK(cap_from_name("cap_checkpoint_restore", &number) == 0);  // it does know names
  CHECK(libcap_name(kCapabilityCount) == std::to_string(kCapabilityCount));
}

TEST_CASE("capabilities: what capget(2) tells is what libcap reads, set by set") {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  REQUIRE(syscall(SYS_capget, &header, data) == 0);
  cap_t theirs = cap_get_proc();
  REQUIRE(theirs != nullptr);
  for (int number = 0; number < kCapabilityCount; ++number) {
    cap_value_t value = -1;
    REQUIRE(cap_from_name(std::string(capability_name(number)).c_str(), &value) == 0);
    const auto& half = data[number / 32];
    const unsigned bit = 1U << number % 32;
    const struct {
      cap_flag_t set;
      uint32_t ours;
    } sets[] = {{CAP_EFFECTIVE, half.effective},
                {CAP_PERMITTED, half.permitted},
                {CAP_INHERITABLE, half.inheritable}};
    for (const auto& [set, ours] : sets) {
      cap_flag_value_t on = CAP_CLEAR;
      REQUIRE(cap_get_flag(theirs, value, set, &on) == 0);
      CHECK((on == CAP_SET) == ((ours & bit) != 0));
    }
  }
  cap_free(theirs);
}
