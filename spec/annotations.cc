#include "spec/annotations.h"

#include "spec/error.h"
#include "spec/text.h"

namespace coracle::spec {
namespace {

std::string origin(std::string_view key) { return cat("annotations[", quoted(key), "]"); }

// crun runs these by libraries that it loads; a static program can load none. The smart kinds are
// for programs that are WebAssembly only, and pods' own containers are never meant: images of
// another kind start as ever.
void refuse_handlers(const Spec& spec) {
  if (find(spec.annotations, kCriContainerType) == "sandbox") return;
  const std::string_view handler = find(spec.annotations, kHandler);
  const std::string_view variant = find(spec.annotations, kWasmVariant);
  if (variant == "compat")
    throw Error::at(origin(kWasmVariant),
                    "coracle runs no WebAssembly: use crun or youki, built with an engine for it");
  if (handler.empty() || handler == "wasm-smart") return;
  const bool machine = handler == "krun";
  throw Error::at(origin(kHandler), cat("coracle has no handler ", quoted(handler), ": use ",
                                        machine ? "crun, built with libkrun (krun)"
                                                : "crun or youki, built with an engine for it"));
}

void refuse(const Spec& spec, std::string_view key, const char* why) {
  for (const auto& [name, value] : spec.annotations)
    if (name == key) throw Error::at(origin(key), why);
}

void require_absolute(const Spec& spec, std::string_view key) {
  const std::string_view path = find(spec.annotations, key);
  if (!path.empty() && path.front() != '/')
    throw Error::at(origin(key), cat("expected an absolute path, not ", quoted(path)));
}

}  // namespace

Strings done_annotations() {
  Strings keys;
  for (const Annotation& known : kAnnotations)
    if (known.treatment == Treatment::kDone) keys.push_back(known.key);
  return keys;
}

bool is_set(const Spec& spec, std::string_view key) {
  for (const auto& [name, value] : spec.annotations)
    if (name == key) return value != "0";
  return false;
}

void validate_known_annotations(const Spec& spec) {
  refuse_handlers(spec);
  refuse(spec, kSeccompPlugins,
         "plugins are libraries, of which a static program can load none: use crun, or an agent "
         "at linux.seccomp.listenerPath");
  refuse(spec, kForceCgroupV1, "coracle has no cgroup v1");
  for (std::string_view key : {kHooksStdout, kHooksStderr, kPidfdReceiver, kSeccompReceiver})
    require_absolute(spec, key);
  const std::string_view context = find(spec.annotations, kMountContextType);
  for (std::string_view known : {"", "context", "fscontext", "defcontext", "rootcontext"})
    if (context == known) return;
  throw Error::at(origin(kMountContextType),
                  "expected context, fscontext, defcontext or rootcontext");
}

}  // namespace coracle::spec
