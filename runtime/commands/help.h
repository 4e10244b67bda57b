// Help texts, shell completions and the manual's OPTIONS, all made from the tables.
#pragma once

#include <string>
#include <string_view>

#include "runtime/commands/command.h"

namespace coracle::commands {

std::string usage_line(const Command& command);  // "coracle kill [OPTIONS] ID [SIGNAL]"
std::string help_text(const Command& command);
std::string general_help();
std::string version_text();
std::string libseccomp_version();  // "2.5.4": the one linked in

// The hidden `help --format`: bash, zsh, fish or scdoc. Throws for another.
std::string generated(std::string_view format);

}  // namespace coracle::commands
