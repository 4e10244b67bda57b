#include <doctest/doctest.h>
#include <linux/seccomp.h>

#include <string>
#include <vector>

#include "runtime/plan/describe.h"
#include "runtime/plan/process.h"
#include "runtime/plan/seccomp.h"
#include "spec/error.h"

using namespace coracle;
using namespace coracle::plan;

namespace {

// A bundle with a small process; a test changes what it is about.
struct Bundle {
  spec::Spec spec;
  CreateRequest request;
  ExecRequest exec_request;
  Host host;
  Warnings warnings;
  std::vector<unsigned char> block;

  Bundle() {
    spec.ociVersion = "1.2.0";
    spec.linux.emplace();
    spec.root.emplace();
    spec.process.emplace();
    process().args = {"sleep", "5"};
    process().env = {"PATH=/bin:/sbin", "HOME=/root"};
    process().cwd = "/";
    request.start_follows = true;
  }
  spec::Process& process() { return *spec.process; }
  bool in_userns() const { return find_namespace(spec, "user") != nullptr; }

  View create() {
    Draft d{{}, spec, request, request, host, warnings};
    d.new_userns = in_userns();
    add_process_early(d);
    add_process_late(d);
    block = d.b.finish();
    return View(block.data());
  }
  View exec() {
    Draft d{{}, spec, request, request, host, warnings};
    d.new_userns = in_userns();
    add_exec_affinity(d, process());
    add_exec_process(d, process(), exec_request);
    block = d.b.finish();
    return View(block.data());
  }
};

// "owner of stdio, find program, ...", with a "*" behind what the parent does.
std::string steps(const View& v) {
  std::string text;
  for (const Step& step : v) {
    if (!text.empty()) text += ", ";
    text += step_name(step.op);
    if (step.actor == Actor::kParent) text += "*";
  }
  return text;
}

const Step* find_step(const View& v, Op op, int nth = 0) {
  for (const Step& step : v)
    if (step.op == op && nth-- == 0) return &step;
  return nullptr;
}

template <class Payload>
const Payload& payload(const View& v, int nth = 0) {
  const Step* step = find_step(v, OpOf<Payload>::kValue, nth);
  REQUIRE(step != nullptr);
  return step->as<Payload>();
}

// Position of the first step of a kind; -1 if there is none.
int place(const View& v, Op op) {
  const Step* step = find_step(v, op);
  return step == nullptr ? -1 : static_cast<int>(step - v.begin());
}

std::vector<std::string> strings(const View& v, List list) {
  std::vector<std::string> out;
  for (uint32_t i = 0; i + 1 < list.count; ++i)
    out.emplace_back(v.str({static_cast<uint32_t>(v.list<uint64_t>(list)[i])}));
  CHECK(v.list<uint64_t>(list)[list.count - 1] == 0);
  return out;
}

std::vector<std::string> environment(spec::Strings env, uint32_t listen_fds = 0,
                                     bool* needs_home = nullptr) {
  spec::Process process;
  process.env = std::move(env);
  const Environment e = make_environment(process, listen_fds);
  if (needs_home != nullptr) *needs_home = e.needs_home;
  return {e.entries.begin(), e.entries.end()};
}

using Texts = std::vector<std::string>;
const seccomp::Program kFilter{{1, 2, 3}, 0, false, {}};

}  // namespace

TEST_CASE("the least process: nothing that was not asked for") {
  Bundle b;
  CHECK(steps(b.create()) ==
        "cpu affinity, close-on-exec, bounding set, groups, set user and group, "
        "capabilities, umask, find program, await start, record created*, exec");
  CHECK(steps(b.exec()) ==
        "cpu affinity, close-on-exec, bounding set, groups, set user and group, "
        "capabilities, umask, find program, await start, exec");
  CHECK(b.warnings.empty());
}

namespace {

void ask_for_everything(Bundle& b) {
  b.host.apparmor = b.host.selinux = true;
  b.request.seccomp = &kFilter;
  b.request.start_follows = false;
  b.request.has_console_socket = true;
  b.spec.hostname = "h";
  b.spec.domainname = "d";
  b.spec.root->readonly = true;
  b.spec.linux->sysctl = {{"net.ipv4.ip_forward", "1"}, {"kernel.shmmax", "2"}};
  b.spec.linux->personality = spec::LinuxPersonality{"LINUX32", {}};
  b.spec.linux->memoryPolicy =
      spec::LinuxMemoryPolicy{"MPOL_BIND", "0,65", {"MPOL_F_STATIC_NODES"}};
  spec::Process& p = b.process();
  p.cwd = "/work";
  p.terminal = true;
  p.consoleSize = spec::Box{25, 80};
  p.user.uid = 5;
  p.noNewPrivileges = true;
  p.apparmorProfile = "profile";
  p.selinuxLabel = "label";
  p.oomScoreAdj = 100;
  p.scheduler = spec::Scheduler{"SCHED_BATCH", 3, 0, {"SCHED_FLAG_RESET_ON_FORK"}, 0, 0, 0};
  p.ioPriority = spec::LinuxIOPriority{"IOPRIO_CLASS_BE", 4};
  p.rlimits = {{"RLIMIT_NOFILE", 20, 10}};
  p.capabilities.emplace();
  p.capabilities->bounding = {"CAP_KILL"};
}

}  // namespace

TEST_CASE("the order, with everything") {
  Bundle b;
  ask_for_everything(b);
  CHECK(steps(b.create()) ==
        "hostname, domainname, sysctl, process label, process label, "
        "no new privileges, cpu affinity, scheduler, io priority, personality, memory policy, "
        "console, send console*, chdir, "
        "rlimit, close-on-exec, capabilities, bounding set, chdir, groups, set user and group, "
        "capabilities, chdir, umask, find program, await start, record created*, seccomp, exec");
  CHECK(steps(b.exec()) ==
        "process label, process label, "
        "no new privileges, cpu affinity, scheduler, io priority, personality, memory policy, "
        "console, send console*, "
        "rlimit, close-on-exec, capabilities, bounding set, chdir, groups, set user and group, "
        "capabilities, chdir, umask, find program, await start, seccomp, exec");
}

TEST_CASE("what the steps carry") {
  Bundle b;
  ask_for_everything(b);
  const View v = b.create();
  const auto& sysctl = payload<Sysctl>(v);
  REQUIRE(sysctl.settings.count == 2);
  CHECK(v.str(v.list<SysctlValue>(sysctl.settings)[0].key) == "net/ipv4/ip_forward");
  CHECK(v.str(v.list<SysctlValue>(sysctl.settings)[1].value) == "2");
  CHECK(v.str(payload<ProcessLabel>(v).attribute) == "apparmor/exec");
  CHECK(v.str(payload<ProcessLabel>(v).value) == "exec profile");
  CHECK(v.str(payload<ProcessLabel>(v, 1).attribute) == "exec");
  CHECK(v.str(payload<ProcessLabel>(v, 1).value) == "label");
  CHECK(payload<Scheduler>(v).policy == 3);
  CHECK(payload<Scheduler>(v).nice == 3);
  CHECK(payload<Scheduler>(v).flags == 1);
  CHECK(payload<IoPriority>(v).value == (2 << 13 | 4));
  CHECK(payload<Personality>(v).persona == 8);
  CHECK(payload<MemoryPolicy>(v).mode == (2 | 1 << 15));
  REQUIRE(payload<MemoryPolicy>(v).nodes.count == 2);
  CHECK(v.list<uint64_t>(payload<MemoryPolicy>(v).nodes)[1] == 2);
  CHECK(payload<Console>(v).height == 25);
  CHECK(payload<Console>(v).width == 80);
  CHECK(payload<Console>(v).uid == 5);
  CHECK(payload<Console>(v).flags == (kConsoleBind | kConsoleSetSize));
  CHECK(payload<Rlimit>(v).soft == 10);
  CHECK(payload<Rlimit>(v).hard == 20);
  CHECK(payload<WorkDir>(v).flags == (kWorkDirCreate | kWorkDirOnlyMake));
  CHECK(payload<WorkDir>(v, 1).flags == (kWorkDirCreate | kWorkDirFirst));
  CHECK(payload<WorkDir>(v, 2).flags == kWorkDirAgain);
  CHECK(payload<Umask>(v).mask == 0022);
  CHECK(payload<AwaitStart>(v).slot != kNoSlot);
  CHECK(payload<PreserveFds>(v).keep == payload<AwaitStart>(v).slot);
  CHECK(strings(v, payload<Execute>(v).argv) == Texts{"sleep", "5"});
  CHECK(strings(v, payload<Execute>(v).envp) == Texts{"PATH=/bin:/sbin", "HOME=/root"});
  CHECK(v.str(payload<ResolveProgram>(v).search) == "/bin:/sbin");
  CHECK(place(v, Op::kFindHome) == -1);
  const View e = b.exec();
  CHECK(payload<Console>(e).flags == kConsoleSetSize);
  CHECK(payload<WorkDir>(e).flags == kWorkDirFirst);  // exec makes no directories
}

TEST_CASE("seccomp comes last; the capability it may need is kept that long and no longer") {
  Bundle b;
  seccomp::Program filter = kFilter;
  filter.flags =
      SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
  b.request.seccomp = &filter;
  View v = b.create();
  const std::string end = ", await start, record created*, seccomp, capabilities, exec";
  CHECK(steps(v).ends_with(end));
  CHECK(payload<Capabilities>(v, 0).flags == kCapabilitiesKeepAdmin);
  CHECK(payload<Capabilities>(v, 1).flags == kCapabilitiesFinal);
  CHECK(payload<SeccompFilter>(v).program.count == 3);
  CHECK(payload<SeccompFilter>(v).flags == SECCOMP_FILTER_FLAG_LOG);
  b.process().noNewPrivileges = true;
  v = b.create();
  CHECK(steps(v).ends_with(", await start, record created*, seccomp, exec"));
  CHECK(payload<Capabilities>(v).flags == 0);
}

TEST_CASE("a seccomp listener is handed over while the creator is there") {
  Bundle b;
  seccomp::Program filter = kFilter;
  filter.notify = true;
  filter.flags = SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
  b.request.seccomp = &filter;
  b.process().noNewPrivileges = true;
  b.spec.linux->seccomp.emplace();
  CHECK_THROWS_AS(b.create(), spec::Error);
  b.spec.linux->seccomp->listenerPath = "/run/agent.sock";
  b.spec.linux->seccomp->listenerMetadata = "meta";
  const View v = b.create();
  CHECK(place(v, Op::kResolveProgram) < place(v, Op::kSeccompFilter));
  CHECK(place(v, Op::kSeccompFilter) < place(v, Op::kSeccompListener));
  CHECK(place(v, Op::kSeccompListener) < place(v, Op::kAwaitStart));
  CHECK(payload<SeccompFilter>(v).notify == 1);
  CHECK(payload<SeccompFilter>(v).flags == SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
  CHECK(v.str(payload<SeccompListener>(v).path) == "/run/agent.sock");
  CHECK(v.str(payload<SeccompListener>(v).metadata) == "meta");
}

TEST_CASE("without a process the container waits, and its start fails") {
  Bundle b;
  b.spec.process.reset();
  b.spec.hostname = "h";
  const View v = b.create();
  CHECK(steps(v) == "hostname, close-on-exec, await start, record created*, exec");
  CHECK(payload<Execute>(v).argv.count == 0);
}

TEST_CASE("labels of a process are refused where their LSM is off") {
  Bundle b;
  b.process().apparmorProfile = "unconfined";
  CHECK(place(b.create(), Op::kProcessLabel) == -1);
  b.process().apparmorProfile = "profile";
  CHECK_THROWS_WITH(b.create(),
                    "process.apparmorProfile: AppArmor is off on this host, so \"profile\" would "
                    "not confine the process: leave it out to go without");
  b.process().apparmorProfile = "";
  b.process().selinuxLabel = "label";
  CHECK_THROWS_WITH(b.create(),
                    "process.selinuxLabel: SELinux is off on this host, so \"label\" would not "
                    "confine the process: leave it out to go without");
  CHECK_THROWS_AS(b.exec(), spec::Error);
}

TEST_CASE("the keyring's label comes with SELinux only") {
  for (const bool selinux : {false, true}) {
    Bundle b;
    b.host.selinux = selinux;
    b.process().selinuxLabel = "label";
    Draft d{{}, b.spec, b.request, b.request, b.host, b.warnings};
    add_keyring_label(d, b.process());
    b.block = d.b.finish();
    const View v(b.block.data());
    CHECK(v.header().step_count == (selinux ? 1 : 0));
    if (selinux) CHECK(v.str(payload<ProcessLabel>(v).attribute) == "keycreate");
  }
}

TEST_CASE("what needs the initial user namespace is done by the creator, while the init waits") {
  Bundle b;
  b.spec.linux->namespaces = {{"user", ""}};
  b.process().rlimits = {{"RLIMIT_NOFILE", 20, 10}, {"RLIMIT_CORE", 0, 0}};
  const char expected[] =
      "cpu affinity, owner of stdio, meet*, rlimit*, rlimit*, meet, "
      "close-on-exec, ";
  CHECK(steps(b.create()).find(expected) == 0);
  b.host.euid = 1000;  // a creator without the right to it leaves it to the init
  const View v = b.create();
  CHECK(place(v, Op::kMeet) == -1);
  CHECK(find_step(v, Op::kRlimit)->actor == Actor::kInit);
}

TEST_CASE("ids that the user namespace does not map are refused with their place") {
  Bundle b;
  b.spec.linux->namespaces = {{"user", ""}};
  b.spec.linux->uidMappings = {{0, 1000, 10}, {100, 5000, 1}};
  b.spec.linux->gidMappings = {{0, 1000, 10}};
  const auto refused_at = [&b] {
    try {
      b.create();
    } catch (const spec::Error& e) {
      return e.path();
    }
    return std::string();
  };
  b.process().user = {100, 9, {}, {0, 9}, ""};
  CHECK(refused_at() == "");
  b.process().user.uid = 10;
  CHECK(refused_at() == "process.user.uid");
  b.process().user = {0, 10, {}, {}, ""};
  CHECK(refused_at() == "process.user.gid");
  b.process().user = {0, 0, {}, {3, 77}, ""};
  CHECK(refused_at() == "process.user.additionalGids[1]");
}

TEST_CASE("groups: always set, but kept where the annotation or the user namespace says so") {
  Bundle b;
  CHECK(payload<Groups>(b.create()).flags == 0);
  b.spec.linux->namespaces = {{"user", ""}};
  CHECK(payload<Groups>(b.create()).flags == kGroupsMayBeDenied);
  b.process().user.additionalGids = {4};
  CHECK(payload<Groups>(b.create()).flags == 0);
  b.spec.annotations = {{"run.oci.keep_original_groups", "1"}};
  CHECK(place(b.create(), Op::kGroups) == -1);
}

TEST_CASE("capabilities: none without the property, else exactly the lists") {
  Bundle b;
  CHECK(payload<BoundingSet>(b.create()).keep == 0);
  CHECK(payload<Capabilities>(b.create()).permitted == 0);
  CHECK(payload<Capabilities>(b.create()).flags == 0);  // nothing to check either
  b.process().capabilities.emplace();
  spec::LinuxCapabilities& c = *b.process().capabilities;
  c.bounding = {"CAP_CHOWN", "CAP_KILL", "CAP_UNKNOWN"};
  c.permitted = {"CAP_CHOWN", "CAP_SETUID"};
  c.effective = {"CAP_CHOWN"};
  c.inheritable = {"CAP_SETUID"};
  c.ambient = {"CAP_SETUID", "CAP_CHOWN"};
  const View v = b.create();
  CHECK(payload<BoundingSet>(v).keep == (1 << 0 | 1 << 5));
  const auto& check = payload<Capabilities>(v, 0);
  CHECK(check.flags == kCapabilitiesCheck);
  CHECK(check.permitted == (1 << 0 | 1 << 5 | 1 << 7));
  CHECK(find_step(v, Op::kCapabilities)->on_error == OnError::kWarn);
  const auto& real = payload<Capabilities>(v, 1);
  CHECK(real.permitted == (1 << 0 | 1 << 7));
  CHECK(real.effective == 1 << 0);
  CHECK(real.inheritable == 1 << 7);
  CHECK(real.ambient == 1 << 7);
  CHECK(find_step(v, Op::kCapabilities, 1)->on_error == OnError::kFail);
}

TEST_CASE("the machine's root keeps its hands off the caller's stdio") {
  Bundle b;
  CHECK(place(b.create(), Op::kStdioOwner) == -1);
  b.process().user.uid = 9;
  CHECK(payload<StdioOwner>(b.create()).uid == 9);
  b.process().user.uid = 0;
  b.spec.linux->namespaces = {{"user", ""}};
  CHECK(payload<StdioOwner>(b.create()).uid == 0);  // whom it is joined to maps him somewhere
}

TEST_CASE("in a user namespace the parent gives stdio away, if it is the machine's root") {
  Bundle b;
  b.spec.linux->namespaces = {{"user", ""}};
  b.spec.linux->uidMappings = {{0, 1000, 10}, {10, 5000, 10}};
  b.spec.linux->gidMappings = b.spec.linux->uidMappings;
  b.process().user.uid = 12;
  const View v = b.create();
  CHECK(payload<StdioOwner>(v).uid == 5002);
  CHECK(find_step(v, Op::kStdioOwner)->actor == Actor::kParent);
  b.host.euid = 1000;
  const View rootless = b.create();
  CHECK(payload<StdioOwner>(rootless).uid == 12);
  CHECK(find_step(rootless, Op::kStdioOwner)->actor == Actor::kInit);
}

TEST_CASE("a terminal and a console socket belong together") {
  Bundle b;
  b.request.has_console_socket = true;
  CHECK_THROWS_AS(b.create(), spec::Error);
  b.request.has_console_socket = false;
  b.process().terminal = true;
  CHECK(place(b.create(), Op::kConsole) >= 0);  // run: the creator is the other end
  b.request.start_follows = false;
  CHECK_THROWS_AS(b.create(), spec::Error);
}

TEST_CASE("CPU affinity") {
  Bundle b;
  b.process().execCPUAffinity = spec::CPUAffinity{"0-1,70", "3"};
  View v = b.create();  // for exec only
  CHECK(payload<CpuAffinity>(v).cpus.count == 0);
  CHECK(find_step(v, Op::kCpuAffinity)->on_error == OnError::kWarn);
  v = b.exec();
  CHECK(find_step(v, Op::kCpuAffinity)->actor == Actor::kParent);
  REQUIRE(payload<CpuAffinity>(v).cpus.count == 2);
  CHECK(v.list<uint64_t>(payload<CpuAffinity>(v).cpus)[0] == 3);
  CHECK(v.list<uint64_t>(payload<CpuAffinity>(v).cpus)[1] == 1 << 6);
  CHECK(v.list<uint64_t>(payload<CpuAffinity>(v, 1).cpus)[0] == 8);
  b.process().execCPUAffinity = spec::CPUAffinity{"0", ""};
  v = b.exec();
  CHECK(find_step(v, Op::kCpuAffinity, 1) == nullptr);
  b.process().execCPUAffinity = spec::CPUAffinity{"", "1"};
  v = b.exec();
  CHECK(find_step(v, Op::kCpuAffinity)->actor == Actor::kInit);
  CHECK(find_step(v, Op::kCpuAffinity, 1) == nullptr);
}

TEST_CASE("environment: the last of a name wins, and keeps its place") {
  CHECK(environment({"A=1", "B=2", "A=3", "C="}) == Texts{"B=2", "A=3", "C="});
  CHECK(environment({"A=1", "AA=2", "A=1=2"}) == Texts{"AA=2", "A=1=2"});
  CHECK(environment({}).empty());
}

TEST_CASE("environment: fds handed on are told of") {
  CHECK(environment({"LISTEN_FDS=9", "A=1", "LISTEN_PID=77"}, 2) ==
        Texts{"A=1", "LISTEN_FDS=2", "LISTEN_PID=1"});
  Bundle b;
  b.host.listen_fds = 2;
  b.request.preserve_fds = 3;
  CHECK(payload<PreserveFds>(b.create()).first == 8);
}

TEST_CASE("environment: HOME is looked up if it is missing or empty") {
  bool needs_home = false;
  CHECK(environment({"HOME=/a"}, 0, &needs_home) == Texts{"HOME=/a"});
  CHECK(!needs_home);
  CHECK(environment({"HOME=/a", "HOME=", "X=y"}, 0, &needs_home) == Texts{"X=y"});
  CHECK(needs_home);
  Bundle b;
  b.process().env = {"A=b"};
  b.process().user.uid = 12;
  const View v = b.create();
  const auto& look = payload<FindHome>(v);
  CHECK(look.uid == 12);
  CHECK(v.str(look.home) == "HOME=");
  CHECK(look.room >= 256);
  const char* room = v.c_str(look.home) + 5;
  for (uint32_t i = 0; i < look.room; ++i) CHECK(room[i] == '\0');
  CHECK(payload<ResolveProgram>(v).search.off == 0);
  CHECK(place(v, Op::kFindHome) < place(v, Op::kSetIds));
  CHECK(strings(v, payload<Execute>(v).envp) == Texts{"A=b", "HOME="});
}
