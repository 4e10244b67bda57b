#include <doctest/doctest.h>

#include <string>

#include "runtime/sys/protobuf.h"
#include "shim/containerd/bootstrap.h"
#include "shim/containerd/invocation.h"
#include "spec/error.h"

using namespace coracle::shim;
using coracle::sys::ProtoWriter;
using namespace std::string_view_literals;

namespace {

Invocation invocation() {
  Invocation out;
  out.id = "c1";
  out.name_space = "k8s.io";
  out.address = "/run/containerd/containerd.sock";
  return out;
}

}  // namespace

TEST_CASE("flags as containerd 1.6 and 2.3 give them") {
  const Invocation old =
      parse_invocation({"-namespace", "default", "-address", "/a", "-publish-binary", "/p", "-id",
                        "v1", "-debug", "start"});
  CHECK(old.name_space == "default");
  CHECK(old.address == "/a");
  CHECK(old.id == "v1");
  CHECK(old.debug);
  CHECK(old.action == "start");
  CHECK(old.bundle.empty());
  const Invocation recent =
      parse_invocation({"--namespace=x", "-id=c", "-bundle", "/b", "--debug=false", "delete"});
  CHECK(recent.name_space == "x");
  CHECK(recent.bundle == "/b");
  CHECK_FALSE(recent.debug);
  CHECK(recent.action == "delete");
}

TEST_CASE("flags: unknown ones are passed over, with or without a value") {
  CHECK(parse_invocation({"-future", "value", "-id", "c", "start"}).id == "c");
  const Invocation bare = parse_invocation({"-future", "-id", "c", "-other", "start"});
  CHECK(bare.id == "c");
  CHECK(bare.action == "start");
  CHECK(parse_invocation({"-v"}).version);
  CHECK(parse_invocation({"-info"}).info);
  CHECK(parse_invocation({}).action.empty());
  CHECK_THROWS_AS(parse_invocation({"-id"}), coracle::spec::Error);
}

TEST_CASE("the input of start: nothing, options, or bootstrap parameters") {
  CHECK_FALSE(parse_start_input("", invocation()).is_bootstrap);
  const std::string options = any_bytes("containerd.runc.v1.Options", "x");
  const StartInput old = parse_start_input(options, invocation());
  CHECK_FALSE(old.is_bootstrap);
  CHECK(old.options.type == "containerd.runc.v1.Options");

  ProtoWriter params;
  params.bytes(1, "c1").bytes(2, "k8s.io").signed_number(3, -4).bytes(4, "2.3.0");
  params.bytes(5, "/ttrpc").message(8, ProtoWriter().message(1, options)).bytes(9, "/sockets");
  const StartInput recent = parse_start_input(params.text(), invocation());
  CHECK(recent.is_bootstrap);
  CHECK(recent.debug);
  CHECK(recent.ttrpc_address == "/ttrpc");
  CHECK(recent.socket_dir == "/sockets");
  CHECK(recent.options.type == "containerd.runc.v1.Options");
  CHECK(recent.options.value == "x");

  CHECK_THROWS_AS(parse_start_input("\xff", invocation()), coracle::spec::Error);
  params.message(8, "\xff");
  CHECK_THROWS_AS(parse_start_input(params.text(), invocation()), coracle::spec::Error);
}

TEST_CASE("the answer of start: text, or version 3 for who can read it") {
  StartInput input;
  CHECK(start_answer(input, "unix:///x") == "unix:///x");
  input.is_bootstrap = true;
  CHECK(start_answer(input, "unix:///x") == "\x08\x03\x12\x09unix:///x\x1a\x05ttrpc"sv);
}

TEST_CASE("one socket a group, short enough for a socket's path") {
  StartInput input;
  const std::string own = socket_path(input, invocation(), "");
  CHECK(own.starts_with("/run/containerd/s/"));
  CHECK(own.size() < 100);
  Invocation other = invocation();
  other.id = "c2";
  CHECK(socket_path(input, other, "") != own);
  CHECK(socket_path(input, other, "pod") == socket_path(input, invocation(), "pod"));
  CHECK(socket_path(input, other, "c1") == own);
  other.name_space = "moby";
  CHECK(socket_path(input, other, "pod") != socket_path(input, invocation(), "pod"));
  input.socket_dir = "/elsewhere";
  CHECK(socket_path(input, invocation(), "").starts_with("/elsewhere/"));
}

TEST_CASE("a socket's name is FNV-1a of 128 bits") {
  CHECK(socket_path({}, {}, "a") == "/run/containerd/s/0880948edeab1be95aa073305546ddad");  // "/a"
}
