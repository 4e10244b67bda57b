#include "runtime/commands/list_of_commands.h"

namespace coracle::commands {

const Command* const kCommands[] = {
    &kCreate, &kStart,      &kRun,     &kExec,        &kState,      &kList,    &kPs,
    &kKill,   &kDelete,     &kPause,   &kResume,      &kCheckpoint, &kRestore, &kUpdate,
    &kMounts, &kEvents,     &kStats,   &kWait,        &kSpec,       &kPlan,    &kFeatures,
    &kInfo,   &kCompletion, &kVersion, &kHelpCommand, nullptr,
};

}  // namespace coracle::commands
