// A plan in words: for `coracle plan`, and for the message about a step that failed.
#pragma once

#include <string>
#include <string_view>

#include "runtime/plan/builder.h"

namespace coracle::plan {

std::string_view step_name(Op op);      // "mount", "mask path", ...
std::string_view call_name(Call call);  // "openat2", ...; "" for none

// What the step is about: `proc on "/proc"`; "" where its name says all.
std::string subject(const View& plan, const Step& step);

// Where the step comes from and what it is about, for messages: `mounts[3] "/proc"`.
std::string locate(const View& plan, const Step& step);

std::string to_table(const View& plan);  // one line a step: number, actor, step, subject, origin
std::string to_json(const View& plan);   // an array of objects with the same fields

}  // namespace coracle::plan
