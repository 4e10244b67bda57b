// The top of a configuration (config.md, config-vm.md); its larger sections have files of their
// own.

#include "spec/validate.h"

#include "spec/annotations.h"
#include "spec/ids.h"
#include "spec/near_names.h"
#include "spec/validate_internal.h"

namespace coracle::spec {
namespace {

constexpr uint32_t kSupportedMinor = 3;
constexpr size_t kMaxHostName = 64;  // __NEW_UTS_LEN

// "MUST be in SemVer v2.0.0 format"; versions of one major number are compatible.
void validate_version(const Spec& spec, Warnings& warnings) {
  auto version = parse_version(spec.ociVersion);
  if (!version) {
    fail("ociVersion", cat(quoted(spec.ociVersion), " is not a semantic version"));
  }
  if (version->major != 1) {
    fail("ociVersion",
         cat("version ", quoted(spec.ociVersion), " is not supported: major is not 1"));
  }
  if (version->minor > kSupportedMinor) {
    warn(warnings, "ociVersion",
         cat("version ", quoted(spec.ociVersion),
             " is newer than 1.3: what it added is ignored as unknown properties are"));
  }
}

// "On all other platforms, this field is REQUIRED."
void validate_root(const Spec& spec) {
  if (!spec.root) fail("root", "required on Linux");
  if (spec.root->path.empty()) fail("root.path", "must not be empty");
}

// The name is set "in the container UTS namespace": without one the host's would be changed.
void validate_host_name(const Spec& spec, std::string_view name, const char* path) {
  if (name.empty()) return;
  if (!find_namespace(spec, "uts")) {
    fail(path, "cannot be set without a uts namespace in linux.namespaces");
  }
  if (name.size() > kMaxHostName) fail(path, "longer than 64 bytes");
}

// Annotations: "Keys MUST NOT be an empty string."
void validate_annotations(const Spec& spec) {
  for (const auto& [key, value] : spec.annotations) {
    if (key.empty()) fail("annotations", "a key is empty");
  }
}

// "path MUST be absolute"; "If set, timeout MUST be greater than zero."
void validate_hooks(const std::vector<Hook>& hooks, const Where& where) {
  for (size_t i = 0; i < hooks.size(); ++i) {
    Where hook = where[i];
    if (!is_absolute(hooks[i].path)) fail(hook / "path", "must be an absolute path");
    if (hooks[i].timeout && *hooks[i].timeout <= 0) {
      fail(hook / "timeout", "must be greater than zero");
    }
  }
}

void validate_all_hooks(const Hooks& hooks) {
  const std::vector<Hook>* lists[] = {&hooks.prestart,        &hooks.createRuntime,
                                      &hooks.createContainer, &hooks.startContainer,
                                      &hooks.poststart,       &hooks.poststop};
  Where where = "hooks";
  for (size_t i = 0; i < std::size(lists); ++i) validate_hooks(*lists[i], where / kHookNames[i]);
}

// config-vm.md: all paths "MUST be an absolute path in the runtime mount namespace".
void validate_vm(const VM& vm, Warnings& warnings) {
  auto absolute = [](std::string_view path, const char* where) {
    if (!is_absolute(path)) fail(where, "must be an absolute path");
  };
  absolute(vm.kernel.path, "vm.kernel.path");
  if (!vm.kernel.initrd.empty()) absolute(vm.kernel.initrd, "vm.kernel.initrd");
  if (vm.hypervisor) absolute(vm.hypervisor->path, "vm.hypervisor.path");
  if (vm.image) {
    absolute(vm.image->path, "vm.image.path");
    check_name(kVmImageFormats, vm.image->format, "vm.image.format");
  }
  warn(warnings, "vm", "ignored: containers are made of namespaces, not of virtual machines");
}

bool has_option(const Mount& mount, std::string_view wanted) {
  for (std::string_view option : mount.options) {
    if (option == wanted) return true;
  }
  return false;
}

// Changes an existing mount: needs neither type nor source.
bool only_changes(const Mount& mount) {
  if (has_option(mount, "remount")) return true;
  for (std::string_view option : mount.options) {
    if (value_of(kPropagations, option)) return true;
  }
  return false;
}

void validate_mount_maps(const Mount& mount, const Where& where, bool user_namespace) {
  // "If specified, it MUST be specified along with gidMappings", and the other way round.
  if (mount.uidMappings.empty() != mount.gidMappings.empty()) {
    fail(where, "uidMappings and gidMappings must be given together");
  }
  validate_mappings(mount.uidMappings, where / "uidMappings");
  validate_mappings(mount.gidMappings, where / "gidMappings");
  // "If there are no uidMappings and gidMappings specified and the container isn't using user
  // namespaces, an error MUST be returned."
  bool asked = has_option(mount, "idmap") || has_option(mount, "ridmap");
  if (asked && mount.uidMappings.empty() && !user_namespace) {
    fail(where / "options", "idmap without mappings and without a user namespace");
  }
}

void validate_mount(const Mount& mount, const Where& where, bool user_namespace,
                    Warnings& warnings) {
  if (mount.destination.empty()) fail(where / "destination", "must not be empty");
  // "Relative paths are deprecated."
  if (!is_absolute(mount.destination)) {
    warn(warnings, where / "destination",
         "a relative path is deprecated and taken as relative to /");
  }
  if (is_bind(mount)) {
    if (mount.source.empty() && !has_option(mount, "remount")) {
      fail(where / "source", "required for a bind mount");
    }
  } else if (mount.type.empty() && !only_changes(mount)) {
    fail(where / "type",
         cat("required unless the options have bind or rbind", bind_hint(mount.options)));
  }
  validate_mount_maps(mount, where, user_namespace);
}

}  // namespace

void validate_mounts(const std::vector<Mount>& mounts, bool user_namespace, Warnings& warnings) {
  Where where = "mounts";
  for (size_t i = 0; i < mounts.size(); ++i) {
    validate_mount(mounts[i], where[i], user_namespace, warnings);
  }
}

void validate(const Spec& spec, Warnings& warnings) {
  validate_version(spec, warnings);
  validate_root(spec);
  validate_mounts(spec.mounts, find_namespace(spec, "user"), warnings);
  validate_host_name(spec, spec.hostname, "hostname");
  validate_host_name(spec, spec.domainname, "domainname");
  validate_annotations(spec);
  validate_known_annotations(spec);
  if (spec.process) validate_process(*spec.process, warnings);
  if (spec.hooks) validate_all_hooks(*spec.hooks);
  if (spec.linux) validate_linux(spec, warnings);
  if (spec.vm) validate_vm(*spec.vm, warnings);
}

void validate(const Document& document, Warnings& warnings) {
  try {
    validate(document.spec, warnings);
  } catch (Error& error) {
    document.locate(error);
    throw;
  }
}

}  // namespace coracle::spec
