#include "runtime/container/filter.h"

#include <linux/filter.h>
#include <stdlib.h>
#include <string.h>

#include "spec/annotations.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::container {

using plan::seccomp::Program;
using spec::cat;
using spec::Error;

static constexpr uint32_t kNoDigit = 64;

// RFC 4648, section 4.
static uint32_t digit_of(char c) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const size_t at = kDigits.find(c);
  return at == kDigits.npos ? kNoDigit : static_cast<uint32_t>(at);
}

// Empty where `text` is no base64.
static std::string base64_bytes(std::string_view text) {
  while (text.ends_with('=') || text.ends_with('\n')) text.remove_suffix(1);
  std::string out;
  uint32_t bits = 0;
  uint32_t count = 0;
  for (char c : text) {
    const uint32_t digit = digit_of(c);
    if (digit == kNoDigit) return "";
    bits = bits << 6 | digit;
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out.push_back(static_cast<char>(bits >> count));
  }
  return out;
}

static const spec::LinuxSeccomp* profile_of(const spec::Spec& spec) {
  return spec.linux && spec.linux->seccomp ? &*spec.linux->seccomp : nullptr;
}

static Program given_program(const spec::Spec& spec, std::string_view text) {
  const std::string origin = cat("annotations[", spec::quoted(spec::kSeccompData), "]");
  const std::string bytes = base64_bytes(text);
  static_assert(sizeof(sock_filter) == sizeof(uint64_t));
  if (bytes.empty() || bytes.size() % sizeof(uint64_t) != 0 ||
      bytes.size() > BPF_MAXINSNS * sizeof(uint64_t))
    throw Error::at(origin, cat("expected 1 to ", BPF_MAXINSNS,
                                " instructions (struct sock_filter) in base64"));
  Program program;
  program.instructions.resize(bytes.size() / sizeof(uint64_t));
  memcpy(program.instructions.data(), bytes.data(), bytes.size());
  const spec::LinuxSeccomp* profile = profile_of(spec);
  program.notify = profile != nullptr && !profile->listenerPath.empty();
  return program;
}

static Program strict_program(const spec::LinuxSeccomp& profile, plan::Warnings& warnings) {
  Program program = plan::seccomp::compile(profile, warnings);
  if (program.unknown.empty()) return program;
  throw Error::at("linux.seccomp.syscalls",
                  cat("unknown system call ", spec::quoted(program.unknown.front()),
                      ", and the annotation ", spec::kSeccompStrict, " asks to fail then"));
}

static std::string_view agent_of_environment() {
  const char* variable = getenv("RUN_OCI_SECCOMP_RECEIVER");
  return variable != nullptr ? variable : "";
}

void check_agent() {
  const std::string_view agent = agent_of_environment();
  if (!agent.empty() && agent.front() != '/')
    throw Error("RUN_OCI_SECCOMP_RECEIVER: expected an absolute path");
}

void settle_agent(spec::Spec& spec) {
  std::string_view receiver = spec::find(spec.annotations, spec::kSeccompReceiver);
  if (receiver.empty()) receiver = agent_of_environment();
  if (receiver.empty() || !spec.linux) return;
  const bool given = !spec::find(spec.annotations, spec::kSeccompData).empty();
  if (!spec.linux->seccomp && given)  // to have a place for it
    spec.linux->seccomp.emplace().defaultAction = "SCMP_ACT_ALLOW";
  if (spec.linux->seccomp && spec.linux->seccomp->listenerPath.empty())
    spec.linux->seccomp->listenerPath = receiver;
}

std::optional<Program> filter_of(const spec::Spec& spec, plan::Warnings& warnings) {
  const std::string_view data = spec::find(spec.annotations, spec::kSeccompData);
  if (!data.empty()) return given_program(spec, data);
  const spec::LinuxSeccomp* profile = profile_of(spec);
  if (profile == nullptr) return std::nullopt;
  if (spec::is_set(spec, spec::kSeccompStrict)) return strict_program(*profile, warnings);
  return plan::seccomp::compile(*profile, warnings);
}

}  // namespace coracle::container
