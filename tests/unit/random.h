#pragma once
// Random input for tests that compare two ways of doing a thing. The seed is printed, and stands
// beside each failure.
//   RANDOM_SEED=N    the seed to begin with (1; "new": another one in each run)
//   RANDOM_ROUNDS=N  how many seeds, one after the other

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

namespace coracle::tests {

struct Random {
  explicit Random(uint64_t seed) : generator(seed) {}
  size_t below(size_t n) { return generator() % n; }
  bool chance(size_t percent) { return below(100) < percent; }
  template <typename List>
  const auto& of(const List& list) {
    return list[below(std::size(list))];
  }
  std::mt19937_64 generator;
};

// Calls check(seed) for `rounds` seeds, or as many as RANDOM_ROUNDS says.
template <typename Check>
void each_seed(uint32_t rounds, const Check& check) {
  const char* seed = getenv("RANDOM_SEED");
  const char* wish = getenv("RANDOM_ROUNDS");
  uint64_t first = seed ? strtoull(seed, nullptr, 10) : 1;
  if (first == 0) first = std::random_device()();
  if (wish) rounds = static_cast<uint32_t>(strtoul(wish, nullptr, 10));
  printf("# RANDOM_SEED=%ju RANDOM_ROUNDS=%u\n", static_cast<uintmax_t>(first), rounds);
  for (uint64_t i = first; i < first + rounds; ++i) check(i);
}

}  // namespace coracle::tests
