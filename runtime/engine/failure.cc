#include "runtime/engine/failure.h"

#include <errno.h>

#include "runtime/engine/diagnose.h"
#include "runtime/engine/hints.h"
#include "runtime/log.h"
#include "runtime/messages.h"
#include "runtime/plan/describe.h"
#include "spec/text.h"

namespace coracle::engine {

using plan::Op;
using spec::append;
using spec::cat;
using spec::Error;

static Error step_error(const plan::View& plan, const plan::Step& step, plan::Call call, int error,
                        std::string_view detail) {
  std::string text = plan::locate(plan, step);
  const std::string_view name = plan::call_name(call);
  if (!name.empty()) append(text, ": ", name);
  if (!detail.empty()) append(text, ": ", detail);
  Error told(std::move(text), error);
  return told.explain(why_denied(plan, step, call, error));
}

static std::string_view program_name(const plan::View& plan) {
  for (const plan::Step& step : plan) {
    if (step.op != Op::kExecute) continue;
    const plan::List argv = step.as<plan::Execute>().argv;
    if (argv.count < 2) return "";
    return plan.str({static_cast<uint32_t>(plan.list<uint64_t>(argv)[0])});
  }
  return "";
}

// Engines tell 127 from 126 by these words.
static Error not_found(std::string_view program, int error, uint32_t extra) {
  const std::string quoted = spec::quoted(program);
  if (error == EACCES && extra == plan::kProgramOnNoexec)
    return Error(cat("exec: ", quoted,
                     ": it is on a file system mounted noexec: ", messages::kPermissionDenied));
  if (error == ENOENT && program.find('/') == std::string_view::npos)
    return Error(cat("exec: ", quoted, ": ", messages::kNotInPath));
  if (error == ENOENT)
    return Error(cat("exec: ", quoted, ": stat ", program, ": ", messages::kNoSuchFile));
  if (error == EACCES) return Error(cat("exec: ", quoted, ": ", messages::kPermissionDenied));
  if (error == EISDIR)
    return Error(cat("exec: ", quoted, ": is a directory: ", messages::kPermissionDenied));
  return Error(cat("exec: ", quoted), error);
}

// As runc words it: Docker and containerd pass it on, and make 127 or 126 of its end.
static Error no_working_directory(std::string_view path, const plan::Message& m) {
  const std::string text = cat(messages::kChdir, spec::quoted(path), messages::kChdirFailed);
  if (m.error == ENOENT) return Error(text + messages::kNoSuchFile);
  if (m.error == EACCES)
    return Error(cat(text, m.text, m.text[0] ? ": " : "", messages::kPermissionDenied));
  return Error(text.substr(0, text.size() - 2), m.error);
}

static Error exec_failed(std::string_view program, const plan::Message& m,
                         const std::string& rootfs) {
  const std::string_view path = m.text[0] ? std::string_view(m.text) : program;
  Error error(cat("exec ", path), m.error);
  if (m.error == ENOENT) error = Error(cat("exec ", path, ": ", messages::kNoSuchFile));
  if (m.error == EACCES) error = Error(cat("exec ", path, ": ", messages::kPermissionDenied));
  return error.explain(diagnose_exec(rootfs, path, m.error));
}

Error start_failure(const plan::Message& m, const spec::Spec& spec, const std::string& rootfs) {
  const bool has_program = spec.process && !spec.process->args.empty();
  const std::string_view program = has_program ? spec.process->args[0] : "";
  if (m.call == plan::Call::k_execve) return exec_failed(program, m, rootfs);
  return Error(cat("starting ", spec::quoted(program), ": ", plan::call_name(m.call)), m.error);
}

static bool has_cpuset(const plan::View& plan) {
  for (const plan::Step& step : plan)
    if (step.op == Op::kCgroupWrite && plan.str(step.as<plan::CgroupWrite>().file) == "cpuset.cpus")
      return true;
  return false;
}

// sched_setattr(2), EPERM: "the CPU affinity mask of the thread does not include all CPUs in the
// system (SCHED_DEADLINE)". In runc's words.
static Error scheduler_failure(const plan::View& plan, const plan::Step& step,
                               const plan::Message& m) {
  constexpr uint32_t kDeadline = 6;
  if (m.error != EPERM || step.as<plan::Scheduler>().policy != kDeadline || !has_cpuset(plan))
    return step_error(plan, step, m.call, m.error, m.text);
  return step_error(plan, step, m.call, m.error,
                    "process scheduler can't be used together with AllowedCPUs "
                    "(linux.resources.cpu.cpus): SCHED_DEADLINE needs all CPUs");
}

Error failure(const plan::View& plan, const plan::Message& m, const std::string& rootfs) {
  if (m.step >= plan.header().step_count) return Error("starting the container's init", m.error);
  const plan::Step& step = plan.begin()[m.step];
  if (step.op == Op::kResolveProgram) return not_found(program_name(plan), m.error, m.extra);
  if (step.op == Op::kExecute) return exec_failed(program_name(plan), m, rootfs);
  if (step.op == Op::kWorkDir)
    return no_working_directory(plan.str(step.as<plan::WorkDir>().path), m);
  if (step.op == Op::kScheduler) return scheduler_failure(plan, step, m);
  return step_error(plan, step, m.call, m.error, m.text);
}

Error parent_failure(const plan::View& plan, const plan::Step& step, plan::Call call, int error,
                     std::string_view detail) {
  return step_error(plan, step, call, error, detail);
}

}  // namespace coracle::engine
