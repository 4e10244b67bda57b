// Every command, each defined in the file of its name.
#pragma once

#include "runtime/commands/command.h"

namespace coracle::commands {

extern const Command kCheckpoint;
extern const Command kCompletion;
extern const Command kCreate;
extern const Command kDelete;
extern const Command kEvents;
extern const Command kExec;
extern const Command kFeatures;
extern const Command kHelpCommand;
extern const Command kInfo;
extern const Command kKill;
extern const Command kList;
extern const Command kMounts;
extern const Command kPause;
extern const Command kPlan;
extern const Command kPs;
extern const Command kRestore;
extern const Command kResume;
extern const Command kRun;
extern const Command kSpec;
extern const Command kStart;
extern const Command kState;
extern const Command kStats;
extern const Command kUpdate;
extern const Command kVersion;
extern const Command kWait;

}  // namespace coracle::commands
