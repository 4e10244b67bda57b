// Everything that reads bytes from a peer, with valid messages that were changed at random: what
// comes is a value or an error of ours, whatever the bytes are. With sanitizers (tests/run
// --sanitize) also: nothing is read or written beside them. The seed is fixed, so a failure
// repeats.
#include <doctest/doctest.h>

#include <functional>
#include <random>
#include <string>
#include <vector>

#include "runtime/sys/protobuf.h"
#include "shim/containerd/bootstrap.h"
#include "shim/containerd/messages.h"
#include "shim/containerd/options.h"
#include "shim/containerd/ttrpc.h"
#include "shim/stdio/logger.h"

namespace coracle::shim {
namespace {

using sys::ProtoWriter;

std::string options_message() {
  ProtoWriter out;
  out.number(1, 1).bytes(3, "/shims").number(4, 1000).bytes(6, "/usr/bin/runc").bytes(7, "/root");
  return out.number(9, 1).bytes(12, "unix:///x").number(13, 3).take();
}

std::string toml() {
  return "# a comment\n[section]\nSystemdCgroup = true # why\n Root = \"/r # x\"\nIoUid=12\nX='\n";
}

std::vector<std::string> corpus() {
  const std::string options = any_bytes("containerd.runc.v1.Options", options_message());
  ProtoWriter mount;
  mount.bytes(1, "overlay").bytes(2, "o").bytes(3, "/t").bytes(4, "lowerdir=/a:/b").bytes(4, "ro");
  ProtoWriter create;
  create.bytes(1, "id").bytes(2, "/bundle").message(3, mount).number(4, 1).bytes(5, "/in");
  create.bytes(6, "/out").bytes(7, "binary:///x?a=b").bytes(8, "/c").bytes(10, options);
  ProtoWriter exec;
  exec.bytes(1, "id").bytes(2, "e").number(3, 1).bytes(5, "/out").bytes(7, any_bytes("x", "{}"));
  ProtoWriter task;
  task.bytes(1, "id").bytes(2, "e").number(3, 9).number(4, UINT64_MAX);
  ProtoWriter bootstrap;
  bootstrap.bytes(1, "id").bytes(2, "ns").signed_number(3, -4).bytes(5, "/t").bytes(9, "/dir");
  bootstrap.message(8, ProtoWriter().bytes(1, options));
  ProtoWriter request;
  request.bytes(1, "containerd.task.v2.Task").bytes(2, "State").bytes(3, task.text());
  request.number(4, 1'000'000'000).message(5, ProtoWriter().bytes(1, "k").bytes(2, "v"));
  return {options,
          create.take(),
          exec.take(),
          task.take(),
          bootstrap.take(),
          request.text(),
          options_message(),
          any_bytes("runtimeoptions.v1.Options", ProtoWriter().bytes(3, toml()).take()),
          ttrpc::make_frame(1, ttrpc::Type::kRequest, request.text()),
          "/a%20b?c=d%2&%zz=+&&=#x",
          toml()};
}

std::string changed(std::mt19937& chance, std::string text) {
  auto below = [&](size_t n) { return n == 0 ? 0 : chance() % n; };
  const auto byte = [&] { return static_cast<char>(chance()); };
  for (size_t changes = 1 + below(6); changes > 0; --changes) {
    const size_t at = below(text.size() + 1);
    switch (below(5)) {
      case 0:
        if (at < text.size()) text[at] = byte();
        break;
      case 1:
        text.insert(at, 1, byte());
        break;
      case 2:
        text.erase(at, 1 + below(8));
        break;
      case 3:
        text.insert(at, text.substr(below(text.size() + 1), below(64)));
        break;
      case 4:  // lengths and numbers beyond what is there
        text.insert(at, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 1 + below(10));
        break;
    }
  }
  return text;
}

void read_with_everything(const std::string& bytes) {
  const Invocation invocation = {.name_space = "ns", .id = "id"};
  std::vector<std::string> warnings;
  const std::vector<std::function<void()>> readers = {
      [&] { parse_create(bytes); },
      [&] { parse_exec(bytes); },
      [&] { parse_task(bytes, RequestKind::kKill); },
      [&] { parse_task(bytes, RequestKind::kResize); },
      [&] { parse_task(bytes, RequestKind::kCloseIo); },
      [&] { parse_task(bytes, RequestKind::kShutdown); },
      [&] { parse_update(bytes); },
      [&] { parse_checkpoint_options(parse_checkpoint(bytes).options); },
      [&] { parse_options(parse_any(bytes), warnings); },
      [&] {
        parse_options({"containerd.runc.v1.Options", bytes}, warnings);
      },
      [&] {
        parse_options({"containerd.linux.runc.CreateOptions", bytes}, warnings);
      },
      [&] {
        const std::string body = ProtoWriter().bytes(3, bytes).take();
        parse_options({"runtimeoptions.v1.Options", body}, warnings);
      },
      [&] {
        parse_checkpoint_options({"containerd.runc.v1.CheckpointOptions", bytes});
      },
      [&] { parse_start_input(bytes, invocation); },
      [&] { ttrpc::parse_request(bytes); },
      [&] { ttrpc::parse_response(bytes); },
      [&] { uri_path(bytes), query_words(bytes); },
  };
  for (const auto& reader : readers) {
    try {
      reader();
    } catch (const spec::Error& e) {
      CHECK(*e.what() != '\0');
    }
  }
}

// Any chunks of a stream give the same frames.
std::vector<std::string> frames(const std::string& stream, const std::function<size_t()>& chunk) {
  std::vector<std::string> out;
  ttrpc::Parser parser;
  for (size_t at = 0; at < stream.size();) {
    const size_t size = std::min(chunk(), stream.size() - at);
    parser.add({stream.data() + at, size});
    at += size;
    while (const auto frame = parser.next()) {
      out.push_back(std::to_string(frame->stream) + " " + std::to_string(frame->type) +
                    (frame->too_large ? " large" : " ") + std::string(frame->payload));
    }
    CHECK(parser.held() <= ttrpc::kMaxPayload + 10 + size);
  }
  return out;
}

}  // namespace

TEST_CASE("messages changed at random are read or refused") {
  std::mt19937 chance(5);
  const std::vector<std::string> valid = corpus();
  for (const std::string& message : valid) read_with_everything(message);
  for (int round = 0; round < 20000; ++round)
    read_with_everything(changed(chance, valid[chance() % valid.size()]));
}

TEST_CASE("a stream gives the same frames however it comes in") {
  std::mt19937 chance(6);
  for (int round = 0; round < 300; ++round) {
    std::string stream;
    for (uint32_t number = 0; number < 1 + chance() % 5; ++number)
      stream += ttrpc::make_frame(number, ttrpc::Type::kRequest, std::string(chance() % 300, 'x'));
    if (round % 3 == 0) stream = changed(chance, stream);
    const auto whole = frames(stream, [&] { return stream.size(); });
    CHECK(frames(stream, [] { return size_t{1}; }) == whole);
    CHECK(frames(stream, [&] { return size_t{1 + chance() % 40}; }) == whole);
  }
}

}  // namespace coracle::shim
