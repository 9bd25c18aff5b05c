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

// Changes how PLACE is mounted.
#define AGAIN(flags) SYS(SYS_mount, NULL, PLACE, NULL, MS_REMOUNT | (flags), NULL)

static void test_remounting(void)
{
    unsigned long all = MS_NOSUID | MS_NODEV | MS_NOEXEC;
    check_result("mount-tmpfs", MOUNT("tmpfs", PLACE, all), 0);
    check(is_listed("test " PLACE " tmpfs rw,nosuid,nodev,noexec,relatime"), "listed-all", "is not");
    check_result("mknod", SYS(SYS_mknod, PLACE "/null", S_IFCHR | 0666, 0x103), 0);
    FAILS(EACCES, "open-nodev", SYS_open, PLACE "/null", O_RDONLY);
    int path = SYS(SYS_open, PLACE "/null", O_PATH);
    check(path >= 0, "path-nodev", "%d", path);
    close(path);

    int file = SYS(SYS_open, PLACE "/file", O_RDWR | O_CREAT, 0644);
    check(file >= 0, "create", "%d", file);
    check_result("write", SYS(SYS_write, file, "some", 4), 4);
    check_error("remount-busy", AGAIN(MS_RDONLY), EBUSY);
    check(is_listed("test " PLACE " tmpfs rw,nosuid"), "listed-busy", "is not");
    check_result("write-more", SYS(SYS_write, file, "more", 4), 4);
    char *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    check(shared != MAP_FAILED, "map", "%m");
    close(file);
    check_error("remount-busy-map", AGAIN(MS_RDONLY), EBUSY);
    munmap(shared, 4096);
    check_result("remount-read-only", AGAIN(MS_RDONLY | MS_NODEV), 0);
    check(is_listed("test " PLACE " tmpfs ro,nodev,relatime"), "listed-again", "is not");
    FAILS(EROFS, "write-open", SYS_open, PLACE "/file", O_WRONLY);
    FAILS(EROFS, "make", SYS_mkdir, PLACE "/new", 0755);
    FAILS(EROFS, "unlink", SYS_unlink, PLACE "/file");
    FAILS(EROFS, "chmod", SYS_chmod, PLACE "/file", 0600);

    // What is noted of reads stays, unless something is said of that.
    struct stat before, after;
    char bytes[4];
    struct timespec times[2] = {{1000, 0}, {2000, 0}};
    check_result("remount-noatime", AGAIN(MS_NOATIME), 0);
    check_result("remount-as-it-is", AGAIN(MS_NOSUID), 0);
    check(is_listed("test " PLACE " tmpfs rw,nosuid,noatime"), "listed-noatime", "is not");
    utimensat(AT_FDCWD, PLACE "/file", times, 0);
    file = open(PLACE "/file", O_RDONLY);
    check(read(file, bytes, 4) == 4 && !fstat(file, &after) && after.st_atime == 1000, "noatime",
          "%ld", (long)after.st_atime);
    check_result("remount-relatime", AGAIN(MS_RELATIME), 0);
    check(is_listed("test " PLACE " tmpfs rw,relatime"), "listed-relatime", "is not");
    check(pread(file, bytes, 4, 0) == 4 && !fstat(file, &before) && before.st_atime > 2000,
          "relatime", "%ld", (long)before.st_atime);
    usleep(20000);
    check(pread(file, bytes, 4, 0) == 4 && !fstat(file, &after)
              && after.st_atim.tv_nsec == before.st_atim.tv_nsec, "relatime-again", "is noted");
    check_result("remount-strictatime", AGAIN(MS_STRICTATIME), 0);
    check(pread(file, bytes, 4, 0) == 4 && !fstat(file, &after)
              && after.st_atim.tv_nsec != before.st_atim.tv_nsec, "strictatime", "is not noted");
    close(file);
    // Of directories alone.
    mkdir(PLACE "/directory", 0755);
    check_result("remount-nodiratime", AGAIN(MS_RELATIME | MS_NODIRATIME), 0);
    file = open(PLACE "/directory", O_RDONLY);
    char entries[1000];
    for (int is_noted = 0; is_noted < 2; is_noted++) {
        utimensat(AT_FDCWD, PLACE "/directory", times, 0);
        lseek(file, 0, SEEK_SET);
        check(SYS(SYS_getdents64, file, entries, sizeof entries) > 0, "list", "it fails");
        check(!fstat(file, &after) && (after.st_atime > 2000) == is_noted, "nodiratime", "%ld",
              (long)after.st_atime);
        check_result("remount-diratime", AGAIN(MS_RELATIME), 0);
    }
    close(file);
    file = SYS(SYS_open, PLACE "/null", O_RDONLY);
    check(file >= 0, "open-dev", "%d", file);
    close(file);
    FAILS(EINVAL, "remount-einval", SYS_mount, NULL, "/proc/self", NULL, MS_REMOUNT, NULL);
    check_result("umount-tmpfs", SYS(SYS_umount2, PLACE, 0), 0);
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
    if (!mkdir(PLACE "/mounts-gone", 0700) && !chdir(PLACE "/mounts-gone")) {
        rmdir(PLACE "/mounts-gone");
        FAILS(ENOENT, "mount-enoent-gone", SYS_mount, "test", ".", "proc", 0, NULL);
        chdir("/");
    }
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
    test_remounting();
    test_errors();
    return summary();
}
