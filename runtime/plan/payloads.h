// The payloads of a plan's steps: one plain struct for each kind, of the same name as in
// CORACLE_PARENT_STEPS and CORACLE_INIT_STEPS (format.h). What it refers to lies in the plan's
// block.
#pragma once

#include <stdint.h>

namespace coracle::plan {

struct Ref {  // A NUL-terminated string in the arena; off == 0: none.
  uint32_t off;
};
struct List {  // `count` elements in the arena; the element type stands in a comment.
  uint32_t off;
  uint32_t count;
};
using Slot = int32_t;  // Index into Header::slots (an fd opened by an earlier step); -1: none.
inline constexpr Slot kNoSlot = -1;

enum class Actor : uint8_t { kParent, kInit };

enum class OnError : uint8_t {
  kFail,         // stop, report, undo
  kWarn,         // report, go on
  kSkipMissing,  // ENOENT and ENOTDIR are fine (a masked path that this kernel does not have)
};

// ---- payloads: host side -------------------------------------------------------------------

struct CgroupMake {  // mkdir every missing level of the cgroup and enable the controllers.
  Ref path;          // below the cgroup2 mount, starts with '/'
  List controllers;  // Ref: names to enable in every ancestor's cgroup.subtree_control
};
struct SetUnitProperty {  // a property of the systemd unit that the next StartUnit makes
  Ref name;
  Ref type;      // D-Bus signature
  List strings;  // Ref
  List numbers;  // uint64_t
};
struct StartUnit {  // systemd makes the cgroup: a transient unit with the properties so far
  Ref unit;
  Ref path;          // of its cgroup below the cgroup2 mount
  List controllers;  // Ref: names to enable where systemd has not
};
struct CgroupWrite {  // write `value` to `file` of the container's cgroup
  Ref file;
  Ref value;
  uint32_t flags;  // kCgroup*
};
inline constexpr uint32_t kCgroupIgnoreMissing = 1;  // a zero/max value where the file is absent
inline constexpr uint32_t kCgroupPerLine = 2;        // one write(2) per line of `value`
// `file` and `value` are lists, one entry a line: the first file that exists takes its value.
inline constexpr uint32_t kCgroupFirstFile = 4;
inline constexpr uint32_t kCgroupIgnoreInvalid = 8;  // EINVAL is fine: a later step writes it again
struct CgroupDevices {  // load and attach a BPF_PROG_TYPE_CGROUP_DEVICE program
  List instructions;    // uint64_t, as struct bpf_insn
};
struct CgroupDelegate {  // chown the cgroup and the files of /sys/kernel/cgroup/delegate
  uint32_t uid;
  uint32_t gid;
};
struct CgroupLeaf {  // move the init into a cgroup below the container's, which gets an owner
  Ref path;          // below the container's
  uint32_t uid;
  uint32_t gid;
};
struct SetAttr {  // one mount_setattr(2), in the order given
  uint64_t set;
  uint64_t clr;
  uint64_t propagation;  // MS_SHARED, MS_PRIVATE, ...; 0: leave
  Slot userns;           // idmap with this user namespace; -1: none
  uint32_t recursive;    // AT_RECURSIVE
};
struct OpenTree {  // a detached clone of a host path, with its attributes, into `slot`
  Ref path;
  List attrs;  // SetAttr
  Slot slot;
  uint32_t flags;  // kTree*
};
inline constexpr uint32_t kTreeRecursive = 1;
inline constexpr uint32_t kTreeNoFollow = 2;
inline constexpr uint32_t kTreeMustBeDirectory = 4;
// The slot holds the parent's clone. Taken from a mount namespace of a lesser user namespace
// instead, it keeps what the host's mounts restrict (ro, nosuid, ...) locked; if the path cannot be
// walked from there, the parent's stays.
inline constexpr uint32_t kTreeReplace = 8;
inline constexpr uint32_t kTreeInRoot = 16;  // `path` is one of the container's, as mounted by now
inline constexpr uint32_t kTreeSend = 32;    // the parent idmaps it before it is used (IdmapTree)
struct IdmapTree {  // receive from the init the clone that only the parent may idmap, and do it
  List attrs;       // SetAttr
};
struct IdmapUserns {  // a user namespace with these maps, only to idmap mounts with
  Ref uid_map;        // text as written to /proc/PID/uid_map
  Ref gid_map;
  Slot slot;
};
struct OpenNamespace {  // open and check (NS_GET_NSTYPE) a namespace file
  Ref path;
  uint32_t nstype;  // CLONE_NEW*
  Slot slot;
};
struct Clone {          // the init is born: clone3, then execveat of the sealed init
  uint64_t namespaces;  // CLONE_NEW* it is born in; 0 where it enters namespaces afterwards
  uint32_t flags;       // kClone*
};
inline constexpr uint32_t kCloneIntoCgroup = 1;  // CLONE_INTO_CGROUP with the container's cgroup
inline constexpr uint32_t kCloneUserns = 2;      // for messages: the container has a user namespace
struct Adopt {  // the init has forked: reap it, and go on with its child
  uint32_t unused;
};
struct IdMaps {  // write /proc/PID/{uid_map,setgroups,gid_map}
  Ref uid_map;
  Ref gid_map;
  uint32_t flags;  // kMaps*
};
inline constexpr uint32_t kMapsDenySetgroups = 1;
inline constexpr uint32_t kMapsUseHelpers = 2;  // newuidmap, newgidmap
struct Meet {  // `Step::actor` waits for the other side to come to this step
  uint32_t unused;
};
struct Hooks {  // run the hooks of this kind (index into spec Hooks: see HookKind)
  uint32_t kind;
};
enum class HookKind : uint32_t {
  kPrestart,
  kCreateRuntime,
  kCreateContainer,
  kStartContainer,
  kPoststart,
  kPoststop,
};
struct NetDevice {  // move a network device of the runtime's namespace into the container's
  Ref name;
  Ref new_name;  // "eth%d": the kernel chooses; "": the same
};
struct IntelRdt {  // join or make a resctrl group
  Ref group;       // absolute path
  Ref monitor;     // a group that only counts, to be made below it; or none
  List limits;     // Ref: l3CacheSchema, memBwSchema; a named group that exists must have them
  List schemata;   // Ref: written after them
  uint32_t flags;  // kRdt*
};
inline constexpr uint32_t kRdtNamed = 1;      // by closID: not the container's, never removed
inline constexpr uint32_t kRdtMustExist = 2;  // named, and nothing is asked of it
struct ConsoleSend {  // receive the pty master from the init and send it to the console socket
  uint32_t unused;
};
struct RecordCreated {  // record {created}, pid file
  uint32_t unused;
};

// ---- payloads: either side, or init --------------------------------------------------------

struct OpenProcfs {  // keep a procfs of the pid namespace the init is still in (procfs.h)
  uint32_t unused;
};
struct ProcContexts {  // fsopen("proc") inside the pid namespace in `pids`, one for each of `slots`
  Slot pids;           // a pid namespace or a pidfd
  Slot user;           // the user namespace to join first, an ordinary user's; or none
  List slots;          // Slot
};
struct Join {  // setns(2)
  Slot slot;
  uint32_t nstype;  // CLONE_NEW*; several when the slot holds a pidfd
};
struct Unshare {
  uint64_t namespaces;  // CLONE_NEW*
};
// The process may be looked at by who has its ids, or CAP_SYS_PTRACE in its user namespace: its
// files in procfs are its own then, and a pidfd of it serves for setns(2).
struct Dumpable {
  uint32_t on;
};
struct TimeOffsets {  // a new time namespace for the children, and its offsets
  Ref text;           // for /proc/self/timens_offsets
};
struct BecomeRoot {  // of the user namespace; where it maps no root, this user, capabilities kept
  uint32_t uid;
  uint32_t gid;
};
struct Fork {           // a child goes on with the plan, as a child of the parent's; the init ends
  uint64_t namespaces;  // CLONE_NEW* it is born in
  uint32_t flags;       // kFork*
};
inline constexpr uint32_t kForkSession = 1;   // setsid
inline constexpr uint32_t kForkTerminal = 2;  // standard input becomes its controlling terminal
struct SetSession {                           // setsid
  uint32_t unused;
};
struct Keyring {  // KEYCTL_JOIN_SESSION_KEYRING, possessor's permissions
  Ref name;
};
struct LoopbackUp {
  uint32_t unused;
};
struct PropagationRoot {  // mount_setattr("/", propagation, AT_RECURSIVE) in the new mount
                          // namespace
  uint64_t propagation;
};
// The detached rootfs becomes a mount at its own path on the host, as seen in the container's mount
// namespace: that is where createContainer hooks and tools that enter the namespace look for it.
// Its fd is the RootDir. Where the init may not walk that path (user namespace), it goes on top of
// "/". After the mounts, PivotRoot moves into it (or, with kPivotChroot, moves it onto "/" first).
struct AttachRoot {
  Slot slot;
  Ref path;  // absolute, on the host
};
struct HostNull {  // open and verify the host's /dev/null (char 1:3) into slot (CVE-2025-31133)
  Slot slot;
};
struct FsOption {
  Ref key;
  Ref value;      // none: a flag
  uint32_t path;  // 1: the value is a path, given as a descriptor (FSCONFIG_SET_FD)
};
struct MountFs {  // fsopen, fsconfig..., fsmount, mount_setattr..., one move_mount
  Ref fstype;
  Ref source;
  List options;          // FsOption
  uint32_t mount_attrs;  // MOUNT_ATTR_* given to fsmount
  List attrs;            // SetAttr, after fsmount
  Ref target;            // below the container's root
  uint32_t flags;        // kMount*
  Slot fallback;         // kMountCgroupBind: a detached tree of the container's cgroup, or none
  // Where fsconfig refuses what is too long for it or has a comma (EINVAL): the same options as
  // mount(2) takes them, in one string, and MS_*; or none.
  Ref page;
  uint32_t page_flags;
  Slot context = kNoSlot;  // the fsopen(2) done already (ProcContexts); or none
};
inline constexpr uint32_t kMountNoSymlinks = 1;   // proc, sysfs: target must be a real directory
inline constexpr uint32_t kMountCopyUp = 2;       // tmpcopyup
inline constexpr uint32_t kMountCgroupBind = 4;   // cgroup2 refused: bind `fallback`, or hide
inline constexpr uint32_t kMountSysBind = 8;      // sysfs refused (user ns): bind the host's /sys
inline constexpr uint32_t kMountKeepMode = 16;    // tmpfs without mode=: take the target's mode
inline constexpr uint32_t kMountMqueueBind = 32;  // mqueue refused: bind the host's /dev/mqueue
inline constexpr uint32_t kMountTargetNoFollow = 64;  // dest-nofollow
inline constexpr uint32_t kMountCopySymlink = 128;    // a tree that is a symlink: make its like
inline constexpr uint32_t kMountTargetMissing = 512;  // most likely: do not look first
inline constexpr uint32_t kMountMustBeProc = 256;     // onto /proc: the tree must be a procfs
struct MountTree {  // attach the detached tree in `slot` at target, creating the target if missing
  Slot slot;
  Ref target;
  uint32_t flags;  // kMountNoSymlinks, TargetNoFollow, CopySymlink, MustBeProc
};
struct Remount {  // change attributes of the mount at target
  Ref target;
  List attrs;    // SetAttr
  List options;  // FsOption: superblock options through fspick
};
struct MakeDir {
  Ref path;
  uint32_t mode;
};
struct HostNode {
  uint32_t mode;  // S_IFCHR|S_IFBLK | permissions
  uint32_t major;
  uint32_t minor;
  uint32_t uid;  // the host's ids; kNoId: as made
  uint32_t gid;
};
inline constexpr uint32_t kNoId = UINT32_MAX;
// Only the first user namespace may make devices (mknod(2)): for a container in another one the
// parent makes them, named "0", "1", ..., in a tmpfs that no path leads to.
struct HostNodes {
  List nodes;  // HostNode
  Slot slot;   // the tmpfs
  Ref label;   // SELinux context, or none
};
struct CloneNodes {  // the init: a detached clone of each node of HostNodes, then the tmpfs goes
  Slot slot;
  List nodes;  // Slot; one that the parent was not allowed to make stays empty
};
// mknodat below the root; an existing node of the same kind and number is fine. Where that is
// forbidden, the tree in `tree` is bound there, or the host's node of that name.
struct MakeNode {
  Ref path;
  uint32_t mode;  // S_IFCHR|S_IFBLK|S_IFIFO | permissions
  uint32_t major;
  uint32_t minor;
  uint32_t uid;
  uint32_t gid;
  Slot tree;       // from CloneNodes, or none
  uint32_t asked;  // kNode*: what the host's own node must have too, else there is a warning
};
inline constexpr uint32_t kNodeMode = 1;
inline constexpr uint32_t kNodeUid = 2;
inline constexpr uint32_t kNodeGid = 4;
struct MakeSymlink {
  Ref path;
  Ref points_to;
  uint32_t replace;  // 1: a file or other symlink of that name is removed first
};
struct MaskPath {
  Ref path;
  Slot null;  // from HostNull
  Ref label;  // SELinux context of the tmpfs over a directory, or none
};
struct ReadonlyPath {
  Ref path;
};
struct PivotRoot {
  uint32_t flags;  // kPivotChroot
  Slot null;       // from HostNull, closed: no fd into the host's tree stays; or none
};
inline constexpr uint32_t kPivotChroot = 1;  // --no-pivot: chroot into the mount on "/"
// No mount namespace of its own: chroot, and nothing of the host's mounts is touched. What was
// mounted below the rootfs is taken away by `delete` (Record::host_mount).
inline constexpr uint32_t kPivotHostMounts = 2;
struct EnterRoot {  // chroot to the directory in `slot`
  Slot slot;
  Slot directory = kNoSlot;  // the working directory then; or none: "/"
};
struct EnterMounts {  // join the mount namespace of a container (pidfd in `slot`); its "/" is the
                      // root
  Slot slot;
};
struct Unmount {  // take away the topmost mount at `target`, lazily
  Ref target;
};
struct Leave {  // this was all: exit successfully
  uint32_t unused;
};
struct RootAttr {  // after the pivot: propagation of "/", read-only root
  List attrs;      // SetAttr
};
struct Hostname {
  Ref name;
};
struct Domainname {
  Ref name;
};
struct Sysctl {   // all of them through one private procfs
  List settings;  // SysctlValue
};
struct SysctlValue {
  Ref key;  // with slashes: net/ipv4/ip_forward
  Ref value;
};
struct CgroupNamespace {  // a new one
  uint32_t unused;
};
struct Rlimit {
  uint64_t soft;
  uint64_t hard;
  uint32_t resource;
};
struct OomScoreAdj {
  int32_t value;
};
struct Scheduler {
  uint32_t policy;
  int32_t nice;
  uint32_t priority;
  uint64_t flags;
  uint64_t runtime;
  uint64_t deadline;
  uint64_t period;
};
struct IoPriority {
  uint32_t value;  // class << 13 | priority
};
struct Personality {
  uint64_t persona;
};
struct MemoryPolicy {
  uint32_t mode;  // with flags or'ed in
  List nodes;     // uint64_t words
};
struct CpuAffinity {
  List cpus;  // uint64_t words; empty: all CPUs
};
struct Console {  // a pty from the container's devpts becomes stdio and /dev/console
  uint16_t height;
  uint16_t width;
  uint32_t uid;
  uint32_t flags;  // kConsole*
};
inline constexpr uint32_t kConsoleBind = 1;  // mount it on /dev/console
inline constexpr uint32_t kConsoleSetSize = 2;
inline constexpr uint32_t kConsoleLater = 4;  // Fork makes it the controlling terminal
// fchown 0, 1, 2 to uid, as far as they are pipes and files for the program; by the parent, with
// the host's id, where the init, in a user namespace, has no say in what the caller owns.
struct StdioOwner {
  uint32_t uid;
};
struct NoNewPrivileges {
  uint32_t unused;
};
struct SeccompFilter {
  List program;     // uint64_t, as struct sock_filter
  uint32_t flags;   // SECCOMP_FILTER_FLAG_*
  uint32_t notify;  // 1: NEW_LISTENER, the fd goes to the parent by the sync socket
};
struct SeccompListener {  // parent: receive the listener from the init, hand it to listenerPath
  Ref path;
  Ref metadata;
};
struct ProcessLabel {  // write to /proc/self/attr/... through a private procfs, then read it back
  Ref attribute;       // "exec", "apparmor/exec", "keycreate"
  Ref value;
};
struct BoundingSet {
  uint64_t keep;
};
struct Groups {
  List gids;       // uint32_t
  uint32_t flags;  // kGroups*
};
inline constexpr uint32_t kGroupsMayBeDenied = 1;  // EPERM is fine: setgroups is off in the user ns
struct SetIds {  // keepcaps, setresgid, setresuid; the parent-death signal is set again
  uint32_t uid;
  uint32_t gid;
};
struct Umask {
  uint32_t mask;
};
struct Capabilities {
  uint64_t effective;
  uint64_t permitted;
  uint64_t inheritable;
  uint64_t ambient;
  uint32_t flags;  // kCapabilities*
};
// Changes nothing; -EPERM, with the first such capability in Message::extra, if `permitted` asks
// for more than the init holds. (The real step grants what can be granted: the spec wants a
// warning, not a failure.)
inline constexpr uint32_t kCapabilitiesCheck = 1;
// CAP_SYS_ADMIN stays as well: a seccomp filter without no_new_privs is still to be loaded ...
inline constexpr uint32_t kCapabilitiesKeepAdmin = 2;
// ... and has been: one capset(2), all that the filter must allow besides execve.
inline constexpr uint32_t kCapabilitiesFinal = 4;
struct WorkDir {  // chdir, verified to be inside the root (CVE-2024-21626); made if missing
  Ref path;
  uint32_t flags;  // kWorkDir*
};
inline constexpr uint32_t kWorkDirCreate = 1;    // mkdir -p where it is missing
inline constexpr uint32_t kWorkDirOnlyMake = 2;  // no chdir, no error: a root soon to be read-only
inline constexpr uint32_t kWorkDirFirst = 4;     // EACCES is fine, a later step tries as the user
inline constexpr uint32_t kWorkDirAgain = 8;  // that later step: only if the first did not get in
struct FindHome {  // by the container's /etc/passwd, while the init may read what the user may not
  Ref home;        // "HOME=" with room behind it, part of envp
  uint32_t room;   // bytes behind "HOME=", the NUL included
  uint32_t uid;
};
struct ResolveProgram {  // find the program, with the user's rights
  Ref name;              // args[0]
  Ref search;            // PATH of the environment, or none
};
inline constexpr uint32_t kProgramOnNoexec = 1;  // Message::extra of EACCES: the mount is noexec
struct PreserveFds {  // close every fd from `first` on but our own sockets, which are close-on-exec
  uint32_t first;     // 3 + LISTEN_FDS + --preserve-fds
  Slot keep;          // the start socket, or -1
};
struct AwaitStart {  // until `start`: accept on the slot's socket, or read the sync socket if -1
  Slot slot;
};
struct Execute {
  List argv;  // uint64_t offsets, 0-terminated; no list: there is no process (start must fail)
  List envp;  // uint64_t offsets, 0-terminated
  Slot program =
      kNoSlot;     // execveat(2) of this, close-on-exec; a script, which needs a path: then `path`
  Ref path = {0};  // the program, where ResolveProgram has found none; or none: argv[0]
};

}  // namespace coracle::plan
