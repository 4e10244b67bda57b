// Between attacker.cc, which finds the processes and reports, and attacker_probes.cc, which goes
// for one of them.
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include <array>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace attacker {

enum Kind { kRoot, kCwd, kFd, kExe, kMem, kNs, kPtrace, kKinds };
constexpr const char* kKindNames[kKinds] = {"root", "cwd", "fd", "exe", "mem", "ns", "ptrace"};

// What the tests say, and what is learned about ourselves.
struct Settings {
  std::string canary;                       // a file of the host that no container has
  std::string name;                         // what is in the names of the runtime's processes
  std::pair<dev_t, ino_t> binary;           // the runtime's
  std::set<dev_t> devices;                  // the host's file systems that have programs
  std::set<ino_t> namespaces;               // the host's that are not ours, too
  std::set<std::pair<dev_t, ino_t>> image;  // programs of the container
  std::pair<dev_t, ino_t> hook;             // the program of the hooks outside the container
  uint64_t bounding = 0;                    // our bounding set
};
extern Settings settings;

struct Hits {
  long hits = 0, victims = 0;
};

struct Counts {
  long seen = 0, named = 0, tries = 0;
  long channels = 0;    // sockets found among a process's descriptors
  long excess = 0;      // processes stopped with more capabilities than our bounding set has
  long unfiltered = 0;  // ... without a seccomp filter
  std::array<Hits, kKinds> foreign;  // the host's root, file, program, ...
  std::array<Hits, kKinds> early;    // of a process that was not yet the container's program
};

struct Victim {
  int pid = 0, folder = -1, pidfd = -1;  // folder: /proc/PID
  bool decoy = false, named = false, seized = false, in_hook = false;
  int seizes = 0, in_image = 0;  // rounds in which it was a program of the image, in a row
  long since = 0;                // us
  std::string name;
  Counts round;    // what this round gave
  Counts counts;   // added to those of its sort when it is over: only then the sort is certain
  Counts of_hook;  // when it was the program of a hook
  std::set<std::string> samples;
};

// One round of everything. It never waits.
void attack(Victim& victim);

// Sums up; a process counts as one that gave a kind if it gave it once.
void add(Counts& sum, const Counts& counts);

// What has come to a stop since is looked at and let go.
void look_at_stopped(std::vector<Victim>& victims);

// The runtime's binary, when it no longer runs, is opened for writing and written to. Counts how
// often either worked.
void try_to_write(long* writable, long* written);

// The file at `name` in `folder`, at most `most` bytes; "" if it cannot be read.
std::string read_at(int folder, const char* name, size_t most = 4096);

// The number behind a name of /proc/PID/status; 0 if there is none.
uint64_t field(const std::string& status, const char* name, int base);

}  // namespace attacker
