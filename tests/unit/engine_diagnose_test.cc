#include <doctest/doctest.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "runtime/engine/diagnose.h"

using namespace coracle;

namespace {

// A container root made of a few files.
struct Root {
  char path[40] = "/tmp/coracle-diagnose-XXXXXX";
  Root() {
    REQUIRE(mkdtemp(path) != nullptr);
    REQUIRE(mkdir((std::string(path) + "/bin").c_str(), 0755) == 0);
  }
  ~Root() {
    const std::string command = std::string("rm -rf ") + path;
    CHECK(system(command.c_str()) == 0);
  }
  void add(const char* name, const std::string& content, mode_t mode = 0755) {
    const std::string file = std::string(path) + "/bin/" + name;
    const int fd = open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    REQUIRE(fd >= 0);
    REQUIRE(write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size()));
    REQUIRE(fchmod(fd, mode) == 0);
    close(fd);
  }
  std::string why(const char* program, int error) const {
    return engine::diagnose_exec(std::string(path), program, error);
  }
};

std::string elf(uint16_t machine, const char* loader) {
  Elf64_Ehdr header{};
  memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_machine = machine;
  header.e_phoff = sizeof(header);
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = loader != nullptr ? 2 : 0;
  Elf64_Phdr segments[2]{};
  segments[0].p_type = PT_LOAD;
  segments[1].p_type = PT_INTERP;
  segments[1].p_offset = sizeof(header) + sizeof(segments);
  segments[1].p_filesz = loader != nullptr ? strlen(loader) + 1 : 0;
  std::string bytes(reinterpret_cast<char*>(&header), sizeof(header));
  bytes.append(reinterpret_cast<char*>(segments), sizeof(segments));
  if (loader != nullptr) bytes.append(loader, strlen(loader) + 1);
  return bytes;
}

#if defined(__aarch64__)
constexpr uint16_t kOurs = EM_AARCH64, kForeign = EM_X86_64;
constexpr char kForeignName[] = "x86-64";
#else
constexpr uint16_t kOurs = EM_X86_64, kForeign = EM_AARCH64;
constexpr char kForeignName[] = "arm64";
#endif

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a script without its interpreter") {
  Root root;
  root.add("script", "#! /bin/missing -x\n");
  CHECK(root.why("/bin/script", ENOENT) ==
        "the interpreter \"/bin/missing\" of \"/bin/script\" does not exist");
  root.add("dos", "#!/bin/sh\r\necho\r\n");
  CHECK(has(root.why("/bin/dos", ENOENT), "carriage return"));
  root.add("bare", "#!\n");
  CHECK(has(root.why("/bin/bare", ENOEXEC), "names no interpreter"));
}

TEST_CASE("an interpreter that has something missing itself") {
  Root root;
  root.add("first", "#!/bin/second\n");
  root.add("second", "#!/bin/python9\n");
  CHECK(root.why("/bin/first", ENOENT) ==
        "interpreter of \"/bin/first\": the interpreter \"/bin/python9\" of \"/bin/second\" does "
        "not exist");
  root.add("loop", "#!/bin/loop\n");
  CHECK(has(root.why("/bin/loop", ENOENT), "too many interpreters"));
  root.add("plain", "#!/bin/noexec\n");
  root.add("noexec", "x", 0644);
  CHECK(has(root.why("/bin/plain", EACCES), "\"/bin/noexec\" has no permission"));
}

TEST_CASE("a binary without its loader, or for another machine") {
  Root root;
  root.add("dynamic", elf(kOurs, "/lib64/ld-none.so.2"));
  CHECK(root.why("/bin/dynamic", ENOENT) ==
        "the dynamic loader \"/lib64/ld-none.so.2\" of \"/bin/dynamic\" does not exist");
  root.add("there", elf(kOurs, "/bin/dynamic"));
  CHECK(root.why("/bin/there", ENOENT) == "");
  root.add("foreign", elf(kForeign, nullptr));
  const std::string why = root.why("/bin/foreign", ENOEXEC);
  CHECK(has(why, "is built for"));
  CHECK(has(why, kForeignName));
  root.add("short", "\177ELF");
  CHECK(has(root.why("/bin/short", ENOEXEC), "truncated"));
}

TEST_CASE("not a program at all") {
  Root root;
  root.add("text", "echo hello\n");
  CHECK(has(root.why("/bin/text", ENOEXEC), "neither a binary nor a script"));
  root.add("empty", "");
  CHECK(has(root.why("/bin/empty", ENOEXEC), "is empty"));
  root.add("locked", "#!/bin/sh\n", 0644);
  CHECK(has(root.why("/bin/locked", EACCES), "chmod +x"));
  CHECK(has(root.why("/bin", EACCES), "is a directory"));
}

TEST_CASE("nothing to add is nothing said, and nothing outside of the root is looked at") {
  Root root;
  CHECK(root.why("/bin/none", ENOENT) == "");
  CHECK(root.why("relative", ENOENT) == "");
  CHECK(root.why("/bin", EIO) == "");
  CHECK(engine::diagnose_exec(std::string(), "/bin/sh", ENOENT) == "");
  CHECK(engine::diagnose_exec(std::string("/nowhere"), "/bin/sh", ENOENT) == "");
  REQUIRE(symlink("/etc/passwd", (std::string(root.path) + "/bin/out").c_str()) == 0);
  CHECK(root.why("/bin/out", ENOEXEC) == "");  // the host's file is not "neither a binary nor..."
  CHECK(has(root.why("/bin/x", E2BIG), "process.args"));
}
