// The words that engines match, letter by letter: a change here is a change of an interface.
#include <doctest/doctest.h>

#include <string>

#include "runtime/messages.h"

namespace messages = coracle::messages;

TEST_CASE("messages: containerd's shim, kill") {
  CHECK(std::string(messages::kNotRunning) == "container not running");
  CHECK(std::string(messages::kNoSuchProcess) == "no such process");
}

TEST_CASE("messages: containerd's shim and Podman, unknown container") {
  CHECK(std::string(messages::kDoesNotExist).find("does not exist") != std::string::npos);
  CHECK(std::string(messages::kDoesNotExist) == "container does not exist");
}

TEST_CASE("messages: ids") {
  CHECK(std::string(messages::kIdExists) == "container with given ID already exists");
  CHECK(std::string(messages::kInvalidId) == "invalid container ID format");
}

TEST_CASE("messages: start") {
  CHECK(std::string(messages::kStartRunning) == "cannot start an already running container");
  CHECK(std::string(messages::kStartStopped) == "cannot start a container that has stopped");
}

TEST_CASE("messages: delete") {
  CHECK(messages::kDelete + std::string("x") + messages::kNotStopped + "running" ==
        "cannot delete container x that is not stopped: running");
}

TEST_CASE("messages: exec") {
  CHECK(std::string(messages::kExecStopped) == "cannot exec in a stopped container");
  CHECK(std::string(messages::kExecPaused) ==
        "cannot exec in a paused container (use --ignore-paused to override)");
}

TEST_CASE("messages: Podman and Docker derive 127 and 126 from these") {
  CHECK(std::string(messages::kNotInPath) == "executable file not found in $PATH");
  CHECK(std::string(messages::kNoSuchFile) == "no such file or directory");
  CHECK(std::string(messages::kPermissionDenied) == "permission denied");
  CHECK(messages::kChdir + std::string("\"/d\"") + messages::kChdirFailed + messages::kNoSuchFile ==
        "chdir to cwd (\"/d\") set in config.json failed: no such file or directory");
}

TEST_CASE("messages: what runc's suite looks for at level debug") {
  CHECK(std::string(messages::kDebugSetup) == "nsexec container setup");
  CHECK(std::string(messages::kDebugChild) == "child process in init()");
  CHECK(std::string(messages::kDebugFilter) == "seccomp filter flags: ");
  CHECK(std::string(messages::kDebugRuns) == "init: closing the pipe to signal completion");
  CHECK(std::string(messages::kDebugExec) == "setns_init: about to exec");
}
