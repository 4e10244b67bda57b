// --regex: the containers whose id matches a POSIX extended regular expression (regex(7)).
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "runtime/store/root.h"

namespace coracle::commands {

// Calls `act` for each container in turn whose id has a match for `expression` anywhere (anchor it
// with ^ and $). One that fails does not keep the others from their turn; in the end all reasons
// are thrown as one spec::Error. No match at all is no error: there is nothing to do.
void for_each_match(const store::RootChoice& root, std::string_view expression,
                    const std::function<void(const std::string& id)>& act);

}  // namespace coracle::commands
