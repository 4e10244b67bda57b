#include "runtime/sys/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

namespace coracle::sys {

#ifndef STATX_MNT_ID
#define STATX_MNT_ID 0x00001000U
#endif

uint64_t mount_id(const char* path) {
  struct statx st;
  if (statx(AT_FDCWD, path, 0, STATX_MNT_ID, &st) < 0) return 0;
  return st.stx_mnt_id;
}

int unmount(const char* path) {
  return umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 ? -errno : 0;
}

}  // namespace coracle::sys
