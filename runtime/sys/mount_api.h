// The constants and structs of the mount API and of statx(2). glibc has them since 2.36, in headers
// that the kernel's own cannot stand beside; musl has them not, and there the kernel's can.
#pragma once

#include <sys/mount.h>
#include <sys/stat.h>
#ifndef __GLIBC__
#include <linux/mount.h>
#include <linux/stat.h>
#endif
