// What tests of the mounts' and devices' part of a plan share: a bundle, its plan, and a look at
// the steps.
#pragma once

#include <doctest/doctest.h>

#include <string>

#include "runtime/plan/mounts.h"
#include "runtime/plan/plan.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::test {

using namespace plan;

struct Bench {
  spec::Spec spec;
  CreateRequest request;
  Host host;
  Warnings warnings;
  bool new_userns = false;
  bool parent_mounts = true;
  std::vector<unsigned char> block;

  Bench() {
    spec.root.emplace();
    spec.root->path = "rootfs";
    spec.linux.emplace();
    spec.linux->namespaces.push_back({"mount", ""});
    request.bundle = "/bundle";
  }
  spec::Mount& mount(std::string_view type, std::string_view source, std::string_view destination,
                     spec::Strings options = {}) {
    spec::Mount& m = spec.mounts.emplace_back();
    m.type = type;
    m.source = source;
    m.destination = destination;
    m.options = std::move(options);
    return m;
  }
  View plan() {
    Draft d{{}, spec, request, request, host, warnings};
    d.new_userns = new_userns;
    d.parent_mounts = parent_mounts;
    add_sources(d);
    add_rootfs(d);
    add_pivot(d);
    block = d.b.finish();
    return View(block.data());
  }
  std::string error() {
    try {
      plan();
    } catch (const spec::Error& e) {
      return e.what();
    }
    return "";
  }
};

// The n-th step of a kind; a missing one fails the test.
template <class Payload>
const Payload& nth(const View& view, int n = 0) {
  for (const Step& step : view)
    if (step.op == OpOf<Payload>::kValue && n-- == 0) return step.as<Payload>();
  FAIL("no such step");
  static const Payload kNone{};
  return kNone;
}

inline int count(const View& view, Op op) {
  int n = 0;
  for (const Step& step : view) n += step.op == op;
  return n;
}

// "set/clr/propagation/recursive" of each call.
inline std::string attrs(const View& view, List list) {
  std::string out;
  for (uint32_t i = 0; i < list.count; ++i) {
    const SetAttr& a = view.list<SetAttr>(list)[i];
    spec::append(out, a.set, "/", a.clr, "/", a.propagation, a.recursive ? "/r " : " ");
  }
  return out;
}

inline std::string options(const View& view, List list) {
  std::string out;
  for (uint32_t i = 0; i < list.count; ++i) {
    const FsOption& o = view.list<FsOption>(list)[i];
    spec::append(out, view.str(o.key), o.value.off ? "=" : "", view.str(o.value), ",");
  }
  return out;
}

inline std::string order(const View& view) {
  std::string out;
  Op last = Op::kCount;
  for (const Step& step : view) {
    if (step.op == last) continue;
    last = step.op;
#define X(name, text) \
  if (step.op == Op::k##name) out += #name " ";
    CORACLE_STEPS(X)
#undef X
  }
  return out;
}

}  // namespace coracle::test
