// Golden plans: bundle in, list of steps out, without root and without touching the kernel.
//
//   golden_test DIR            a TAP line for each bundle below DIR
//   golden_test DIR --update   writes DIR/*/plan.txt anew
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include <algorithm>
#include <string>
#include <vector>

#include "runtime/plan/describe.h"
#include "runtime/plan/plan.h"
#include "runtime/plan/seccomp.h"
#include "runtime/sys/file.h"
#include "spec/error.h"
#include "spec/json.h"
#include "spec/text.h"
#include "spec/validate.h"

namespace {

using namespace coracle;

std::string read(const std::string& path) {
  std::string text;
  const int r = sys::read_file(sys::At::cwd(), path.c_str(), text);
  if (r < 0) throw spec::Error(path, r);
  return text;
}

bool has(const std::string& facts, std::string_view fact) {
  return facts.find(spec::cat(fact, "\n")) != std::string::npos;
}

plan::Host host_of(const std::string& facts) {
  plan::Host host;
  host.cgroup_path = "/user.slice/session.scope";
  host.controllers = {"cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma"};
  if (has(facts, "resctrl")) host.resctrl = "/sys/fs/resctrl";
  if (has(facts, "rootless")) {
    host.euid = host.egid = 1000;
    host.privileged = false;
  }
  return host;
}

plan::CreateRequest request_of(const std::string& facts) {
  plan::CreateRequest request;
  request.id = "id";
  request.bundle = "/bundle";
  request.cgroup_path = "/golden/id";
  if (has(facts, "systemd")) {
    request.unit = "golden-id.scope";
    request.slice = "machine.slice";
    request.cgroup_path = "/machine.slice/golden-id.scope";
    request.unit_description = "coracle container /run/coracle/id";
    request.systemd_version = 252;
  }
  request.start_follows = !has(facts, "detached");
  request.no_pivot = has(facts, "no-pivot");
  request.has_console_socket = has(facts, "console-socket");
  request.rootless_cgroup_errors_ignored = has(facts, "rootless");
  return request;
}

std::string plan_of(const std::string& folder) {
  const std::string facts = read(folder + "/facts");
  const auto document = spec::Document::parse_config(read(folder + "/config.json"), "config.json");
  plan::Warnings warnings;
  spec::validate(document, warnings);
  plan::seccomp::Program filter;
  filter.instructions = {0x7fff000000000006};  // one instruction: allow
  plan::CreateRequest request = request_of(facts);
  if (document.spec.linux->seccomp) request.seccomp = &filter;
  const auto block = plan::make_create(document.spec, request, host_of(facts), warnings);
  std::string text = plan::to_table(plan::View(block.data()));
  for (const std::string& warning : warnings) spec::append(text, "warning: ", warning, "\n");
  return text;
}

// The first line that differs, for the report.
void print_difference(const std::string& want, const std::string& got) {
  const size_t at = static_cast<size_t>(
      std::mismatch(want.begin(), want.end(), got.begin(), got.end()).first - want.begin());
  const auto line = [at](const std::string& text) {
    const size_t from = at == 0 ? 0 : text.rfind('\n', std::min(at, text.size()) - 1) + 1;
    return text.substr(from, text.find('\n', from) - from);
  };
  printf("# want: %s\n# got:  %s\n", line(want).c_str(), line(got).c_str());
}

std::vector<std::string> bundles_below(const char* dir) {
  std::vector<sys::DirEntry> entries;
  const int r = sys::list_dir(sys::At::cwd(), dir, entries);
  if (r < 0) throw spec::Error(dir, r);
  std::vector<std::string> names;
  for (const sys::DirEntry& entry : entries)
    if (entry.type == DT_DIR && entry.name[0] != '_') names.push_back(entry.name);
  std::sort(names.begin(), names.end());
  return names;
}

bool check(const std::string& folder, bool update) {
  const std::string got = plan_of(folder);
  if (update) {
    FILE* out = fopen((folder + "/plan.txt").c_str(), "we");
    const bool written = out != nullptr && fwrite(got.data(), 1, got.size(), out) == got.size();
    return (out == nullptr || fclose(out) == 0) && written;
  }
  const std::string want = read(folder + "/plan.txt");
  if (got == want) return true;
  print_difference(want, got);
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const bool update = argc > 2 && strcmp(argv[2], "--update") == 0;
  int failed = 0;
  try {
    const std::vector<std::string> names = bundles_below(argv[1]);
    printf("1..%zu\n", names.size());
    for (size_t i = 0; i < names.size(); ++i) {
      const bool ok = check(spec::cat(argv[1], "/", names[i]), update);
      printf("%s %zu - %s\n", ok ? "ok" : "not ok", i + 1, names[i].c_str());
      failed += !ok;
    }
  } catch (const std::exception& e) {
    printf("Bail out! %s\n", e.what());
    return 1;
  }
  return failed != 0;
}
