// The top of a configuration file: its table, and those of root, mounts and hooks. One row a
// property. "Required" follows the JSON schema of the specification; config.md's REQUIRED is taken
// where the schema is silent and nothing meaningful can be done without the property.

#include "spec/parse.h"

namespace coracle::spec {

template <>
struct Fields<Root> {
  static constexpr Field kTable[] = {
      field<&Root::path>("path", kRequired),
      field<&Root::readonly>("readonly"),
  };
};

template <>
struct Fields<Mount> {
  static constexpr Field kTable[] = {
      field<&Mount::destination>("destination", kRequired),
      field<&Mount::type>("type"),
      field<&Mount::source>("source"),
      field<&Mount::options>("options"),
      field<&Mount::uidMappings>("uidMappings"),
      field<&Mount::gidMappings>("gidMappings"),
  };
};

template <>
struct Fields<Hook> {
  static constexpr Field kTable[] = {
      field<&Hook::path>("path", kRequired),
      field<&Hook::args>("args"),
      field<&Hook::env>("env"),
      field<&Hook::timeout>("timeout"),
  };
};

template <>
struct Fields<Hooks> {
  static constexpr Field kTable[] = {
      field<&Hooks::prestart>("prestart"),
      field<&Hooks::createRuntime>("createRuntime"),
      field<&Hooks::createContainer>("createContainer"),
      field<&Hooks::startContainer>("startContainer"),
      field<&Hooks::poststart>("poststart"),
      field<&Hooks::poststop>("poststop"),
  };
};

template <>
struct Fields<Spec> {
  static constexpr Field kTable[] = {
      field<&Spec::ociVersion>("ociVersion", kRequired),
      field<&Spec::process>("process"),
      field<&Spec::root>("root"),
      field<&Spec::hostname>("hostname"),
      field<&Spec::domainname>("domainname"),
      field<&Spec::mounts>("mounts"),
      field<&Spec::hooks>("hooks"),
      field<&Spec::annotations>("annotations"),
      field<&Spec::linux>("linux"),
      field<&Spec::vm>("vm"),
  };
};

Document Document::parse_config(std::string bytes, std::string_view file_name) {
  Document document(Text(std::move(bytes), file_name));
  document.spec = document.text_.parse<Spec>();
  return document;
}

Document Document::parse_process(std::string bytes, std::string_view file_name) {
  Document document(Text(std::move(bytes), file_name, "process"));
  document.spec.process = document.text_.parse<Process>();
  return document;
}

Document Document::parse_resources(std::string bytes, std::string_view file_name) {
  Document document(Text(std::move(bytes), file_name, "linux.resources"));
  document.spec.linux.emplace().resources = document.text_.parse<LinuxResources>();
  return document;
}

Document Document::parse_mounts(std::string bytes, std::string_view file_name) {
  Document document(Text(std::move(bytes), file_name, "mounts"));
  document.spec.mounts = document.text_.parse<std::vector<Mount>>();
  return document;
}

}  // namespace coracle::spec
