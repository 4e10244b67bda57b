// Our table of capabilities and the sets that the init gives itself, held to libcap: the product
// has a table of its own because libcap's constructor asks prctl(2) six times in every process.
#include <doctest/doctest.h>
#include <linux/capability.h>
#include <sys/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <string>
#include <vector>

#include "spec/capabilities.h"
#include "spec/ids.h"
#include "tests/unit/random.h"

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

namespace {

// A list of names of which some are unknown, and the numbers that libcap has for the others.
struct Names {
  Names(coracle::tests::Random& random, size_t share) {
    for (int number = 0; number < kCapabilityCount; ++number) {
      if (!random.chance(share)) continue;
      names.push_back(libcap_name(number));
      numbers.insert(number);
    }
    for (size_t n = random.below(3); n > 0; --n) {
      static const char* const kWrong[] = {"CAP_NONSENSE", "CHOWN", "", "CAP_41", "cap chown"};
      names.push_back(random.of(kWrong));
      ++unknown;
    }
    std::shuffle(names.begin(), names.end(), random.generator);
  }
  Strings views() const { return {names.begin(), names.end()}; }

  std::vector<std::string> names;
  std::set<int> numbers;
  size_t unknown = 0;
};

std::set<int> bits_of(uint64_t mask) {
  std::set<int> bits;
  for (int i = 0; i < 64; ++i) {
    if (mask >> i & 1) bits.insert(i);
  }
  return bits;
}

}  // namespace

// config.md, "Linux Process", and capabilities(7): effective ones must be permitted, ambient ones
// permitted and inheritable; what is left out is warned of, one by one.
TEST_CASE("capabilities: random sets as read one by one") {
  coracle::tests::each_seed(500, [](uint64_t seed) {
    CAPTURE(seed);
    coracle::tests::Random random(seed);
    const Names bounding(random, 50), effective(random, 40), inheritable(random, 60),
        permitted(random, 70), ambient(random, 30);
    const LinuxCapabilities asked{bounding.views(), effective.views(), inheritable.views(),
                                  permitted.views(), ambient.views()};
    std::vector<std::string> warnings;
    const CapabilitySets sets = resolve_capabilities(asked, false, warnings);
    size_t left_out = bounding.unknown + effective.unknown + inheritable.unknown +
                      permitted.unknown + ambient.unknown;
    std::set<int> granted, raised;
    for (int number : effective.numbers)
      if (permitted.numbers.count(number)) granted.insert(number);
    for (int number : ambient.numbers)
      if (permitted.numbers.count(number) && inheritable.numbers.count(number))
        raised.insert(number);
    left_out += granted.size() < effective.numbers.size();  // one warning a set
    left_out += raised.size() < ambient.numbers.size();
    CHECK(bits_of(sets.bounding) == bounding.numbers);
    CHECK(bits_of(sets.inheritable) == inheritable.numbers);
    CHECK(bits_of(sets.permitted) == permitted.numbers);
    CHECK(bits_of(sets.effective) == granted);
    CHECK(bits_of(sets.ambient) == raised);
    CHECK(warnings.size() == left_out);
  });
}
