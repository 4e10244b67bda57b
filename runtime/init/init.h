// The walker of a plan's steps that runs inside the container, and the steps that either side does.
//
// The same sources are compiled twice: freestanding into the tiny program that becomes the
// container's first process (no libc, no heap, raw system calls), and hosted into the runtime, for
// the steps the parent does with the same code and for unit tests and sanitizers.
#pragma once

#include "runtime/plan/format.h"

namespace coracle::init {

struct Context {
  unsigned char* base;      // the plan block, mapped private and writable
  plan::Report* report;     // shared with the parent
  int root;                 // fd of the container's root (RootDir); -1 before AttachRoot
  int procfs;               // private procfs (fsmount, never attached); -1 until first needed
  bool procfs_is_whole;     // it shows sysctls, too
  int mask_tmpfs;           // the one tmpfs all masked directories share; -1 until first needed
  int sync;                 // this side's end of the sync socket
  bool closes_late;         // done_with() leaves fds open: PreserveFds closes all at once
  int start;                // connection on which the outcome of `start` is reported; -1: sync
  uint64_t held;            // permitted capabilities when the sets were first made
  const char* program;      // result of ResolveProgram, or null
  plan::Call call;          // the call that failed in the current step
  uint32_t extra;           // element of the payload's list at which it failed
  char text[116];           // detail for the message
  char path[4096];          // scratch: resolved program, joined paths
  const char* parent_path;  // the path whose directory `parent` is (paths.h); null: none is kept
  int parent;               // fd

  const plan::Header& header() const { return *reinterpret_cast<const plan::Header*>(base); }
  const char* str(plan::Ref ref) const {
    return ref.off ? reinterpret_cast<const char*>(base + ref.off) : nullptr;
  }
  template <class T>
  const T* list(plan::List list) const {
    return reinterpret_cast<const T*>(base + list.off);
  }
  int& fd(plan::Slot slot) { return reinterpret_cast<int32_t*>(base + header().slots.off)[slot]; }
};

// Notes which call failed and hands the negative errno on: `return fail(c, Call::k_openat2, r);`
inline long fail(Context& c, plan::Call call, long error, uint32_t extra = 0) {
  c.call = call;
  c.extra = extra;
  return error;
}

// Does one step; 0 or -errno (then c.call, c.extra and c.text say where).
long run_step(Context& c, const plan::Step& step);

// A step kind each; defined in the files of this folder, by subject.
#define X(name, text) long run(Context& c, const plan::name& p);
CORACLE_INIT_STEPS(X)
#undef X

}  // namespace coracle::init
