// What it takes to run a hook inside a container.
#pragma once

#include <string>
#include <vector>

#include "hooks/hooks.h"
#include "hooks/run.h"

namespace coracle::hooks {

class Entry {
 public:
  // `inside`: the path is the container's too, as are the pid namespace and what is allowed.
  // Throws spec::Error.
  Entry(const Container& container, bool inside);

  // Completes `command`; the Entry must outlive its run.
  void prepare(Command& command);

 private:
  void find_inside(Command& command);

  bool inside_;
  sys::Fd root_;
  sys::Join join_;
  sys::Fd executable_;
  sys::Fd directory_;  // the container's root before the pivot
};

}  // namespace coracle::hooks
