// Options of new file systems, as fsconfig(2) and as mount(2) take them.
#include <doctest/doctest.h>
#include <linux/mount.h>

#include <string>

#include "tests/unit/plan_mounts_bench.h"

using namespace coracle;
using namespace coracle::plan;
using namespace coracle::test;

namespace {

// "key=value," of each option, "key@value," of one given by a descriptor.
std::string listed(const View& view) {
  const List list = nth<MountFs>(view).options;
  std::string out;
  for (uint32_t i = 0; i < list.count; ++i) {
    const FsOption& o = view.list<FsOption>(list)[i];
    spec::append(out, view.str(o.key),
                 o.path        ? "@"
                 : o.value.off ? "="
                               : "",
                 view.str(o.value), ",");
  }
  return out;
}

std::string page(const View& view) { return std::string(view.str(nth<MountFs>(view).page)); }

const std::string kLong(300, 'x');

}  // namespace

TEST_CASE("fs options: short ones need no page, one with a comma may") {
  Bench b;
  spec::Mount& m =
      b.mount("overlay", "overlay", "/a", {"lowerdir=/a:/b", "upperdir=/u", "userxattr"});
  View v = b.plan();
  CHECK(listed(v) == "lowerdir=/a:/b,upperdir=/u,userxattr,");
  CHECK(nth<MountFs>(v).page.off == 0);
  m.options = {"sync", "lowerdir=/a,b:/c\\:d:/e\\,f"};
  v = b.plan();
  CHECK(listed(v) == "sync,lowerdir=/a,b:/c\\:d:/e\\,f,");
  CHECK(page(v) == "lowerdir=/a\\,b:/c\\:d:/e\\,f");
  CHECK(nth<MountFs>(v).page_flags == MS_SYNCHRONOUS);
}

TEST_CASE("fs options: long ones of overlayfs go layer by layer, by descriptor where they must") {
  Bench b;
  const std::string lower = spec::cat("lowerdir=/a\\:b:/", kLong, ":/c\\,d::/e::/f");
  const std::string upper = spec::cat("upperdir=/u\\\\", kLong);
  b.mount("overlay", "overlay", "/a", {lower, upper, "workdir=/w"});
  const View v = b.plan();
  CHECK(listed(v) == spec::cat("lowerdir+=/a:b,lowerdir+@/", kLong, ",lowerdir+=/c,d,datadir+=/e,",
                               "datadir+=/f,upperdir@/u\\", kLong, ",workdir=/w,"));
  CHECK(page(v) == spec::cat(lower, ",", upper, ",workdir=/w"));
}

TEST_CASE("fs options: more than a page is for overlayfs alone") {
  std::string lower = "lowerdir=";
  for (int i = 0; i < 40; ++i) spec::append(lower, i ? ":/" : "/", std::string(120, 'l'));
  Bench b;
  spec::Mount& m = b.mount("overlay", "overlay", "/a", {lower});
  View v = b.plan();
  CHECK(nth<MountFs>(v).options.count == 40);
  CHECK(nth<MountFs>(v).page.off == 0);
  m.type = "tmpfs";
  CHECK(b.error() == spec::cat("mounts[0].options: the kernel takes options of up to 4095 bytes in "
                               "all, these have ",
                               lower.size()));
  m.options = {"size=1m", "remount"};
  const std::string size = spec::cat("size=", kLong);
  m.options[0] = size;
  CHECK(b.error() ==
        "mounts[0].options: size: a remount takes values of up to 255 bytes, this one has 300");
}

TEST_CASE("fs options: security contexts with a comma are quoted for mount(2)") {
  Bench b;
  b.host.selinux = true;
  b.spec.linux->mountLabel = "system_u:object_r:container_file_t:s0:c1,c2";
  b.mount("tmpfs", "tmpfs", "/a", {"mode=700"});
  CHECK(page(b.plan()) == "mode=700,context=\"system_u:object_r:container_file_t:s0:c1,c2\"");
}

TEST_CASE("fs options: a long source is for mount(2)") {
  Bench b;
  const std::string source = spec::cat("/dev/", kLong);
  b.mount("ext4", source, "/a", {"ro", "dirsync"});
  const View v = b.plan();
  CHECK(nth<MountFs>(v).page.off != 0);
  CHECK(page(v).empty());
  CHECK(nth<MountFs>(v).page_flags == (MS_RDONLY | MS_DIRSYNC));
}
