// mounts
//
// What it proves: file systems are mounted anywhere, also inside and on top of each other; `..`
// leads out of them; what is used cannot be unmounted; and wrong calls get Linux's errors.
//
// It mounts on /tmp, in a namespace of its own where there are such. Without root's rights there
// is nothing to be tried.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "sys.h"

#define PLACE "/tmp"
#define FAILS(error, name, ...) check_error(name, SYS(__VA_ARGS__), error)
#define MOUNT(kind, place, flags) SYS(SYS_mount, "test", place, kind, flags, NULL)

static dev_t device(const char *path)
{
    struct stat status;
    return stat(path, &status) ? (dev_t)-errno : status.st_dev;
}

static ino_t number(const char *path)
{
    struct stat status;
    return stat(path, &status) ? (ino_t)-errno : status.st_ino;
}

// Whether /proc/mounts has a line with these words at its start.
static int is_listed(const char *start)
{
    static char text[1 << 16];
    int file = open("/proc/mounts", O_RDONLY);
    long had = 0, count;
    while (file >= 0 && (count = read(file, text + had, sizeof text - 1 - had)) > 0)
        had += count;
    text[had] = 0;
    close(file);
    for (char *line = text; line; line = strchr(line, '\n'), line += line != NULL)
        if (!strncmp(line, start, strlen(start)))
            return 1;
    return 0;
}

static void test_mounting(void)
{
    dev_t before = device(PLACE);
    check_result("mount", MOUNT("sysfs", PLACE, 0), 0);
    check(device(PLACE) != before, "other-device", "%lx", (long)before);
    check(is_listed("test " PLACE " sysfs rw"), "listed", "is not");
    check(number(PLACE "/..") == number("/") && device(PLACE "/..") == device("/"), "above",
          "%lu", (long)number(PLACE "/.."));
    check(number(PLACE "/kernel/../..") == number("/"), "above-from-inside", "%lu",
          (long)number(PLACE "/kernel/../.."));
    // Inside of it another one, which hides what was there.
    ino_t below = number(PLACE "/kernel");
    check(number(PLACE "/kernel/self") == (ino_t)-ENOENT, "not-yet", "is there");
    check_result("mount-inside", MOUNT("proc", PLACE "/kernel", 0), 0);
    check(number(PLACE "/kernel") != below, "hidden", "%lu", (long)below);
    check(number(PLACE "/kernel/self/stat") + 1 > 1, "inside", "is not there");
    check(number(PLACE "/kernel/..") == number(PLACE "/devices/.."), "above-inside", "differ");
    check(device(PLACE "/kernel/self/..") == device(PLACE "/kernel"), "same-device", "differ");
    FAILS(EBUSY, "umount-outer", SYS_umount2, PLACE, 0);

    // Once more in the same place: on top.
    check_result("mount-on-top", MOUNT("sysfs", PLACE "/kernel", MS_NOEXEC | MS_NOSUID), 0);
    check(number(PLACE "/kernel/self") == (ino_t)-ENOENT, "on-top", "self is there");
    check_result("umount-top", SYS(SYS_umount2, PLACE "/kernel", UMOUNT_NOFOLLOW), 0);
    check(number(PLACE "/kernel/self/stat") + 1 > 1, "inside-again", "is not there");
    check_result("umount-inside", SYS(SYS_umount2, PLACE "/kernel", 0), 0);
    check(number(PLACE "/kernel") == below, "seen-again", "%lu", (long)number(PLACE "/kernel"));
    check_result("umount", SYS(SYS_umount2, PLACE "/", 0), 0);
    check(device(PLACE) == before, "device-again", "%lx", (long)device(PLACE));
    check(!is_listed("test " PLACE " sysfs"), "not-listed", "is still there");
}

static void test_busy(void)
{
    char path[64];
    check_result("mount-proc", MOUNT("proc", PLACE, 0), 0);
    int file = open(PLACE "/meminfo", O_RDONLY);
    check(file >= 0, "open-inside", "%m");
    FAILS(EBUSY, "busy-file", SYS_umount2, PLACE, 0);
    close(file);
    int directory = open(PLACE "/self", O_PATH | O_DIRECTORY);
    FAILS(EBUSY, "busy-path", SYS_umount2, PLACE, 0);
    // What it was opened for is still to be had through it.
    file = openat(directory, "stat", O_RDONLY);
    check(file >= 0, "openat-inside", "%m");
    close(file);
    close(directory);

    check(!chdir(PLACE "/self"), "chdir", "%m");
    FAILS(EBUSY, "busy-directory", SYS_umount2, PLACE, 0);
    snprintf(path, sizeof path, PLACE "/%d", getpid());
    char here[64];
    check(getcwd(here, sizeof here) && !strcmp(here, path), "getcwd", "%s", here);
    check(number("../..") == number("/"), "above-here", "%lu", (long)number("../.."));
    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        for (;;)
            usleep(100000);
    check(!chdir("/"), "chdir-out", "%m");
    FAILS(EBUSY, "busy-child", SYS_umount2, PLACE, 0);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    check_result("umount-idle", SYS(SYS_umount2, PLACE, 0), 0);
}

static void test_read_only(void)
{
    check_result("mount-read-only", MOUNT("proc", PLACE, MS_RDONLY | MS_NODEV | MS_SILENT), 0);
    FAILS(EROFS, "open-read-only", SYS_openat, AT_FDCWD, PLACE "/meminfo", O_WRONLY);
    FAILS(EROFS, "truncate-read-only", SYS_openat, AT_FDCWD, PLACE "/meminfo", O_TRUNC);
    int file = open(PLACE "/meminfo", O_RDONLY);
    check(file >= 0, "read-read-only", "%m");
    close(file);
    check(is_listed("test " PLACE " proc ro"), "listed-read-only", "is not");
    check_result("umount-read-only", SYS(SYS_umount2, PLACE, 0), 0);
}

static void test_errors(void)
{
    char *kernel = (char *)0xffffffff80000000UL;
    static char longest[5000];
    memset(longest, 'x', sizeof longest - 1);
    FAILS(ENODEV, "mount-enodev", SYS_mount, "test", PLACE, "nothing", 0, NULL);
    FAILS(EINVAL, "mount-einval-kind", SYS_mount, "test", PLACE, NULL, 0, NULL);
    FAILS(EINVAL, "mount-einval-long", SYS_mount, "test", PLACE, longest, 0, NULL);
    FAILS(ENOENT, "mount-enoent", SYS_mount, "test", "/no/such/place", "proc", 0, NULL);
    FAILS(ENOENT, "mount-enoent-empty", SYS_mount, "test", "", "proc", 0, NULL);
    FAILS(ENOTDIR, "mount-enotdir", SYS_mount, "test", "/proc/meminfo", "proc", 0, NULL);
    FAILS(EFAULT, "mount-efault-target", SYS_mount, "test", kernel, "proc", 0, NULL);
    FAILS(EFAULT, "mount-efault-kind", SYS_mount, "test", PLACE, kernel, 0, NULL);
    FAILS(EFAULT, "mount-efault-source", SYS_mount, kernel, PLACE, "proc", 0, NULL);
    FAILS(EINVAL, "mount-einval-options", SYS_mount, "test", PLACE, "proc", 0, "no-such-option=1");
    FAILS(EINVAL, "umount-einval", SYS_umount2, PLACE, 0);
    FAILS(EINVAL, "umount-einval-below", SYS_umount2, "/proc/self", 0);
    FAILS(EINVAL, "umount-einval-flags", SYS_umount2, "/proc", 0x100);
    FAILS(ENOENT, "umount-enoent", SYS_umount2, "/no/such/place", 0);
    FAILS(EFAULT, "umount-efault", SYS_umount2, kernel, 0);
    FAILS(EFAULT, "umount-efault-null", SYS_umount2, NULL, 0);
}

int main(void)
{
    // Elsewhere the mounts of the machine are nobody's to try things on.
    if (unshare(CLONE_NEWNS) && errno != ENOSYS) {
        printf("not root: nothing is tried\n");
        return summary();
    }
    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
    test_mounting();
    test_busy();
    test_read_only();
    test_errors();
    return summary();
}
