#include <doctest/doctest.h>

#include "runtime/plan/unit.h"
#include "spec/error.h"
#include "spec/text.h"

using namespace coracle;
using plan::LimitWrite;
using plan::UnitProperty;
using spec::cat;

namespace {

using Names = std::vector<std::string>;

std::string show(const UnitProperty& p) {
  const std::vector<std::string_view> strings(p.strings.begin(), p.strings.end());
  return cat(p.name, " ", p.type, " ",
             plan::unit_value_text(p.type, p.numbers.data(), p.numbers.size(), strings));
}

Names limits(const std::string& file, const std::string& value, uint32_t version = 252,
             uint32_t flags = 0) {
  Names out;
  for (const UnitProperty& p :
       plan::limit_properties({LimitWrite{file, value, flags, "origin"}}, version)) {
    CHECK(p.origin == "origin");
    out.push_back(show(p));
  }
  return out;
}

std::string annotation(std::string_view name, std::string_view value) {
  const std::string key = cat("org.systemd.property.", name);
  const spec::Map<std::string_view> map = {{"other", "x"}, {key, value}};
  const auto properties = plan::annotation_properties(map);
  REQUIRE(properties.size() == 1);
  CHECK(properties[0].origin == cat("annotations[\"", key, "\"]"));
  return show(properties[0]);
}

std::string refusal(std::string_view name, std::string_view value) {
  const std::string key = cat("org.systemd.property.", name);
  try {
    plan::annotation_properties({{key, value}});
  } catch (const spec::Error& e) {
    return e.what();
  }
  return "";
}

}  // namespace

TEST_CASE("memory, tasks, weights") {
  CHECK(limits("memory.max", "1000") == Names{"MemoryMax t 1000"});
  CHECK(limits("memory.max", "max") == Names{"MemoryMax t infinity"});
  CHECK(limits("memory.swap.max", "0") == Names{"MemorySwapMax t 0"});
  CHECK(limits("memory.low", "5") == Names{"MemoryLow t 5"});
  CHECK(limits("memory.oom.group", "1").empty());
  CHECK(limits("memory.oom.group", "1", 253) == Names{"OOMPolicy s \"kill\""});
  CHECK(limits("pids.max", "0") == Names{"TasksMax t 1"});
  CHECK(limits("pids.max", "20") == Names{"TasksMax t 20"});
  CHECK(limits("cpu.weight", "17") == Names{"CPUWeight t 17"});
  CHECK(limits("cpu.idle", "1") == Names{"CPUWeight t 0"});
  CHECK(limits("cpu.idle", "1", 251).empty());
  CHECK(limits("cpu.idle", "0").empty());
}

TEST_CASE("processor time a second, rounded up to what systemd keeps") {
  CHECK(limits("cpu.max", "50000 100000") ==
        Names{"CPUQuotaPerSecUSec t 500000", "CPUQuotaPeriodUSec t 100000"});
  CHECK(limits("cpu.max", "50500 100000")[0] == "CPUQuotaPerSecUSec t 510000");
  CHECK(limits("cpu.max", "max 50000") ==
        Names{"CPUQuotaPerSecUSec t infinity", "CPUQuotaPeriodUSec t 50000"});
  CHECK(limits("cpu.max", "50000 100000", 241) == Names{"CPUQuotaPerSecUSec t 500000"});
  CHECK(limits("cpu.max", "20000")[0] == "CPUQuotaPerSecUSec t 200000");
  CHECK(limits("cpu.max", "20000 0").empty());
}

TEST_CASE("sets of processors as bits") {
  CHECK(limits("cpuset.cpus", "0-2,9") == Names{"AllowedCPUs ay 7 2"});
  CHECK(limits("cpuset.mems", "0") == Names{"AllowedMemoryNodes ay 1"});
  CHECK(limits("cpuset.cpus", "0", 243).empty());
  CHECK(limits("cpuset.cpus", "0-60000").empty());
  CHECK(limits("cpuset.cpus", "x").empty());
}

TEST_CASE("block devices") {
  CHECK(limits("io.bfq.weight\nio.weight", "500\n4950", 252, plan::kCgroupFirstFile) ==
        Names{"IOWeight t 4950"});
  CHECK(limits("io.bfq.weight\nio.weight", "8:0 500\n8:0 4950", 252, plan::kCgroupFirstFile) ==
        Names{"IODeviceWeight a(st) \"/dev/block/8:0\" 4950"});
  CHECK(limits("io.max", "8:0 rbps=1 wbps=2 riops=3 wiops=max") ==
        Names{"IOReadBandwidthMax a(st) \"/dev/block/8:0\" 1",
              "IOWriteBandwidthMax a(st) \"/dev/block/8:0\" 2",
              "IOReadIOPSMax a(st) \"/dev/block/8:0\" 3",
              "IOWriteIOPSMax a(st) \"/dev/block/8:0\" infinity"});
  CHECK(limits("io.max", "8:0 rbps=1\n8:1 rbps=2").size() == 2);
  CHECK(limits("io.max", "8:0 nonsense").empty());
}

TEST_CASE("files that systemd has no property for") {
  for (const char* file : {"cpu.max.burst", "hugetlb.2MB.max", "rdma.max", "memory.reclaim"})
    CHECK(limits(file, "1").empty());
}

TEST_CASE("annotations: what Podman sends") {
  CHECK(annotation("KillSignal", "15") == "KillSignal i 15");
  CHECK(annotation("TimeoutStopUSec", "uint64 10000000") == "TimeoutStopUSec t 10000000");
  CHECK(annotation("CollectMode", "'inactive-or-failed'") ==
        "CollectMode s \"inactive-or-failed\"");
  CHECK(annotation("After", "['a.service', \"b.service\"]") ==
        "After as \"a.service\" \"b.service\"");
}

TEST_CASE("annotations: the grammar") {
  CHECK(annotation("Abc", "true") == "Abc b true");
  CHECK(annotation("Abc", " false ") == "Abc b false");
  CHECK(annotation("Abc", "-5") == "Abc i -5");
  CHECK(annotation("Abc", "int64 -5") == "Abc x -5");
  CHECK(annotation("Abc", "uint32 4294967295") == "Abc u 4294967295");
  CHECK(annotation("Abc", "@as []") == "Abc as ");
  CHECK(annotation("Abc", "'it\\'s'") == "Abc s \"it's\"");
  CHECK(annotation("TimeoutStopSec", "5") == "TimeoutStopUSec t 5000000");
  CHECK(annotation("TimeoutStopSec", "1.5") == "TimeoutStopUSec t 1500000");
  CHECK(annotation("TimeoutStopSec", "uint64 2") == "TimeoutStopUSec t 2000000");
  CHECK(annotation("TimeoutStopSec", "double 0.5") == "TimeoutStopUSec t 500000");
  CHECK(annotation("TimeoutStopSec", " @t 2 ") == "TimeoutStopUSec t 2000000");
  CHECK(annotation("Abc", "0x1f") == "Abc i 31");
  CHECK(annotation("Abc", "-017") == "Abc i -15");
  CHECK(annotation("Abc", "-2147483648") == "Abc i -2147483648");
  CHECK(annotation("Abc", "@t 18446744073709551615") == "Abc t infinity");
  CHECK(annotation("Abc", "@x -1") == "Abc x -1");
  CHECK(annotation("Abc", "boolean true") == "Abc b true");
  CHECK(annotation("Abc", "@b false") == "Abc b false");
  CHECK(annotation("Abc", "string 'x'") == "Abc s \"x\"");
  CHECK(annotation("Abc", "@s \"x\"") == "Abc s \"x\"");
  CHECK(annotation("AllowedCPUs", "[byte 0x07, 2]") == "AllowedCPUs ay 7 2");
  CHECK(annotation("AllowedCPUs", "@ay [1,255]") == "AllowedCPUs ay 1 255");
}

TEST_CASE("annotations: a number is of the type that systemd's property has") {
  CHECK(annotation("TimeoutStopUSec", "7") == "TimeoutStopUSec t 7");
  CHECK(annotation("RuntimeMaxUSec", "int64 7") == "RuntimeMaxUSec x 7");
  CHECK(annotation("MemoryMax", "5000000000") == "MemoryMax t 5000000000");
  CHECK(annotation("MemorySwapMax", "0") == "MemorySwapMax t 0");
  CHECK(annotation("TasksMax", "5") == "TasksMax t 5");
  CHECK(annotation("CPUWeight", "50") == "CPUWeight t 50");
  CHECK(annotation("KillSignal", "9") == "KillSignal i 9");
  CHECK(annotation("OOMScoreAdjust", "-5") == "OOMScoreAdjust i -5");
  CHECK(refusal("MemoryMax", "-1") != "");
}

TEST_CASE("annotations: anything else is refused, and says where") {
  for (const char* value : {"",          "yes",        "truex",
                            "5 6",       "2147483648", "uint32 4294967296",
                            "uint64 -1", "'open",      "'a' 'b'",
                            "['a'",      "['a',]",     "[]",
                            "['a' 'b']", "[5]",        "'a\nEnvironment=b'",
                            "'a\\nb'",   "'a\\",       "{}",
                            "(1,2)",     "0xg",        "5.5",
                            "+5",        "@as",        "08",
                            "boolean 1", "string x",   "@ay [256]",
                            "[byte 1",   "[byte x]",   "['a', byte 1]",
                            "@d 5",      "0x",         "@ay [1] 2"}) {
    CAPTURE(value);
    CHECK(refusal("Abc", value).find("annotations[\"org.systemd.property.Abc\"]: ") == 0);
  }
  for (const char* value : {"", "'5'", "-5", "1.", ".5", "1.x", "99999999999999999999", "1.5.5"}) {
    CAPTURE(value);
    CHECK(refusal("TimeoutStopSec", value) != "");
  }
  for (const char* name : {"", "Ab", "A-b", "A b", "Ab1", "Abc\n", "Ünit"}) {
    CAPTURE(name);
    CHECK(refusal(name, "true") != "");
  }
}

TEST_CASE("annotations cannot take over what the runtime decides") {
  for (const char* name : {"PIDs", "Slice", "Delegate", "BPFProgram", "Description"})
    CHECK(refusal(name, "'x'").find("for the runtime to set") != std::string::npos);
}
