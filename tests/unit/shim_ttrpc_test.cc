#include <doctest/doctest.h>

#include <cstdint>
#include <random>
#include <string>

#include "shim/containerd/ttrpc.h"

using namespace coracle::shim::ttrpc;
using namespace std::string_view_literals;

TEST_CASE("make_frame: length and stream in network order, then type and flags") {
  CHECK(make_frame(0x01020305, Type::kResponse, "ab") == "\0\0\0\x02\x01\x02\x03\x05\x02\0ab"sv);
}

TEST_CASE("Parser: frames come out whole, whatever the pieces") {
  const std::string stream = make_frame(1, Type::kRequest, "first") +
                             make_frame(3, Type::kRequest, "") +
                             make_frame(5, Type::kData, std::string(100000, 'x'));
  for (size_t piece : {1u, 7u, 4096u, 1000000u}) {
    CAPTURE(piece);
    Parser parser;
    std::string seen;
    for (size_t at = 0; at < stream.size(); at += piece) {
      parser.add(std::string_view(stream).substr(at, piece));
      while (const auto frame = parser.next()) {
        seen += std::to_string(frame->stream) + ":" + std::to_string(frame->payload.size()) + " ";
      }
    }
    CHECK(seen == "1:5 3:0 5:100000 ");
    CHECK(parser.held() == 0);
  }
}

TEST_CASE("Parser: a frame that is too large is told of at once, passed over, and costs nothing") {
  Parser parser;
  parser.add("\0\x40\0\x01\0\0\0\x09\x01\0"sv);  // 4 MiB and one
  auto frame = parser.next();
  REQUIRE(frame);
  CHECK(frame->too_large);
  CHECK(frame->stream == 9);
  CHECK(frame->payload.empty());
  const std::string chunk(65536, 'x');
  for (int i = 0; i < 64; ++i) {
    parser.add(chunk);
    CHECK_FALSE(parser.next());
    CHECK(parser.held() == 0);
  }
  parser.add("x" + make_frame(11, Type::kRequest, "next"));
  frame = parser.next();
  REQUIRE(frame);
  CHECK(frame->payload == "next");
}

TEST_CASE("Parser: exactly the limit is a frame") {
  Parser parser;
  parser.add(make_frame(1, Type::kRequest, std::string(kMaxPayload, 'x')));
  const auto frame = parser.next();
  REQUIRE(frame);
  CHECK_FALSE(frame->too_large);
  CHECK(frame->payload.size() == kMaxPayload);
}

TEST_CASE("Parser: any bytes are some frames or none") {
  std::minstd_rand random(7);
  for (int round = 0; round < 200; ++round) {
    Parser parser;
    for (int i = 0; i < 50; ++i) {
      std::string bytes(random() % 64, '\0');
      for (char& byte : bytes) byte = static_cast<char>(random() % 3 == 0 ? random() : 0);
      parser.add(bytes);
      while (const auto frame = parser.next()) {
        (void)parse_request(frame->payload);
        (void)parse_response(frame->payload);
      }
    }
    CHECK(parser.held() <= kMaxPayload + kHeaderSize + 64);
  }
}

TEST_CASE("requests and responses survive the way there and back") {
  Request request;
  request.service = "containerd.task.v2.Task";
  request.method = "Create";
  request.payload = "payload";
  request.timeout_ns = 5'000'000'000;
  const std::string bytes = request_payload(request);
  const auto read = parse_request(bytes);
  REQUIRE(read);
  CHECK(read->service == request.service);
  CHECK(read->method == "Create");
  CHECK(read->payload == "payload");
  CHECK(read->timeout_ns == 5'000'000'000);

  const std::string refusal = response_payload({Code::kNotFound, "not found"}, "");
  const auto response = parse_response(refusal);
  REQUIRE(response);
  CHECK(response->status.code == Code::kNotFound);
  CHECK(response->status.message == "not found");
}

TEST_CASE("success is said by no status, and an empty answer by no bytes") {
  CHECK(response_payload({}, "").empty());
  CHECK(response_payload({}, "x") == "\x12\x01x"sv);
  const auto response = parse_response("");
  REQUIRE(response);
  CHECK(response->status.code == Code::kOk);
}

TEST_CASE("what is no message is none") {
  CHECK_FALSE(parse_request("\xff"sv));
  CHECK_FALSE(parse_request("\x08\x01"sv));  // a number where the service's name is
  CHECK_FALSE(parse_response("\x0a\x02\x08"sv));
  CHECK_FALSE(parse_response("\x0a\x01\x08"sv));  // the status is malformed
}
