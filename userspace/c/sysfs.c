// sysfs
//
// What it proves: /sys looks as on Linux where it has the same files: directories that can be
// gone through, texts that are read in parts and again from the start, links that lead to the
// tree of devices, and the errors of what cannot be written or made.

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "read_all.h"
#include "sys.h"

#define CPUS "/sys/devices/system/cpu"
#define FAILS(error, name, ...) check_error(name, SYS(__VA_ARGS__), error)

static void test_texts(void)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    long len = read_all(CPUS "/online", 4096);
    char whole[256];
    snprintf(whole, sizeof whole, "%.255s", text);
    check(len >= 2 && text[0] == '0' && text[len - 1] == '\n', "online", "%ld: %s", len, text);
    if (cpus > 1) {
        char expected[32];
        snprintf(expected, sizeof expected, "0-%ld\n", cpus - 1);
        check(!strcmp(text, expected), "online-cpus", "%ld: %s", cpus, text);
    }
    check(read_all(CPUS "/online", 1) == len && !strcmp(text, whole), "in-parts", "%s", text);

    // From the start again, also by pread's way.
    int file = open(CPUS "/online", O_RDONLY);
    check(read(file, text, 1) == 1 && lseek(file, 0, SEEK_SET) == 0, "seek", "%m");
    check(read(file, text, sizeof text) == len, "again", "%m");
    check(read(file, text, sizeof text) == 0, "end", "%m");
    check(lseek(file, 100000, SEEK_SET) == 100000 && read(file, text, 10) == 0, "behind", "%m");
    struct stat status, by_path;
    check(!fstat(file, &status) && S_ISREG(status.st_mode) && status.st_size == 4096 &&
              (status.st_mode & 0777) == 0444,
          "fstat", "mode %o, size %ld", status.st_mode, (long)status.st_size);
    check(!stat(CPUS "/online", &by_path) && by_path.st_ino == status.st_ino &&
              by_path.st_dev == status.st_dev,
          "stat", "inode %ld and %ld", (long)by_path.st_ino, (long)status.st_ino);
    close(file);

    read_all("/sys/kernel/address_bits", 100);
    check(!strcmp(text, "64\n"), "address_bits", "%s", text);
    read_all("/sys/kernel/cpu_byteorder", 100);
    check(!strcmp(text, "little\n"), "cpu_byteorder", "%s", text);
    len = read_all("/sys/devices/system/node/node0/meminfo", 100);
    check(len > 100 && !strncmp(text, "Node 0 MemTotal:", 16), "node-meminfo", "%ld: %s", len, text);
}

static void test_directories(void)
{
    DIR *directory = opendir(CPUS);
    check(directory != NULL, "opendir", "%m");
    if (!directory)
        return;
    int found = 0, count = 0, dots = 0, again = 0;
    struct dirent *entry;
    while ((entry = readdir(directory))) {
        count++;
        dots += entry->d_name[0] == '.';
        found += !strcmp(entry->d_name, "cpu0") && entry->d_type == DT_DIR;
        found += !strcmp(entry->d_name, "online") && entry->d_type == DT_REG;
    }
    check(found == 2 && dots == 2, "entries", "%d of %d, %d dots", found, count, dots);
    rewinddir(directory);
    while (readdir(directory))
        again++;
    check(again == count, "rewinddir", "%d, then %d", count, again);
    closedir(directory);

    char here[256];
    struct stat above, top;
    check(!chdir(CPUS "/cpu0/.."), "chdir", "%m");
    check(getcwd(here, sizeof here) && !strcmp(here, CPUS), "getcwd", "%s", here);
    check(read_all("../cpu/./online", 100) > 0, "relative", "%s", text);
    check(!stat("../../../..", &above) && !stat("/", &top) && above.st_ino == top.st_ino &&
              above.st_dev == top.st_dev,
          "above", "%ld", (long)above.st_ino);
    check(!chdir("/"), "chdir-back", "%m");
}

// All links of a directory lead to directories of /sys/devices.
static void follow_links(const char *path, int *links, int *wrong)
{
    DIR *directory = opendir(path);
    if (!directory)
        return;
    struct dirent *entry;
    while ((entry = readdir(directory))) {
        char link[600], target[600], end[5000];
        if (entry->d_type != DT_LNK)
            continue;
        snprintf(link, sizeof link, "%s/%s", path, entry->d_name);
        ssize_t len = readlink(link, target, sizeof target - 1);
        struct stat status;
        // It may go while we look.
        if (len < 0 || stat(link, &status))
            continue;
        target[len] = 0;
        (*links)++;
        int fine = !strncmp(target, "../", 3) && strstr(target, "devices/") &&
                   S_ISDIR(status.st_mode) && !chdir(link) && getcwd(end, sizeof end) &&
                   !strncmp(end, "/sys/devices/", 13) &&
                   !strcmp(strrchr(end, '/') + 1, entry->d_name);
        if (!fine && ++*wrong < 5)
            printf("%s -> %s\n", link, target);
    }
    closedir(directory);
    check(!chdir("/"), "chdir-back", "%m");
}

static void test_links(void)
{
    int links = 0, wrong = 0, buses = 0;
    DIR *bus = opendir("/sys/bus");
    check(bus != NULL, "bus", "%m");
    struct dirent *entry;
    while (bus && (entry = readdir(bus))) {
        char path[600];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/sys/bus/%s/devices", entry->d_name);
        follow_links(path, &links, &wrong);
        struct stat status;
        snprintf(path, sizeof path, "/sys/bus/%s/drivers", entry->d_name);
        buses += !stat(path, &status) && S_ISDIR(status.st_mode);
    }
    closedir(bus);
    follow_links("/sys/block", &links, &wrong);
    check(buses > 0, "buses", "none");
    check(wrong == 0, "links", "%d of %d are wrong", wrong, links);
}

static void test_errors(void)
{
    FAILS(EACCES, "eacces-write", SYS_openat, AT_FDCWD, CPUS "/online", O_WRONLY);
    FAILS(EACCES, "eacces-both", SYS_openat, AT_FDCWD, CPUS "/online", O_RDWR);
    FAILS(EACCES, "eacces-create", SYS_openat, AT_FDCWD, "/sys/new", O_WRONLY | O_CREAT, 0600);
    FAILS(EISDIR, "eisdir-create", SYS_openat, AT_FDCWD, "/sys/new/", O_WRONLY | O_CREAT, 0600);
    FAILS(EEXIST, "eexist", SYS_openat, AT_FDCWD, CPUS "/online", O_CREAT | O_EXCL, 0600);
    FAILS(EISDIR, "eisdir", SYS_openat, AT_FDCWD, CPUS, O_WRONLY);
    FAILS(ENOENT, "enoent", SYS_openat, AT_FDCWD, CPUS "/nothing", O_RDONLY);
    FAILS(ENOENT, "enoent-below", SYS_openat, AT_FDCWD, CPUS "/nothing/..", O_RDONLY);
    FAILS(ENOENT, "enoent-number", SYS_openat, AT_FDCWD, CPUS "/cpu00", O_RDONLY);
    FAILS(ENOENT, "enoent-byte", SYS_openat, AT_FDCWD, CPUS "/\377", O_RDONLY);
    FAILS(ENOTDIR, "enotdir", SYS_openat, AT_FDCWD, CPUS "/online/", O_RDONLY);
    FAILS(ENOTDIR, "enotdir-below", SYS_openat, AT_FDCWD, CPUS "/online/..", O_RDONLY);
    FAILS(EINVAL, "einval-link", SYS_readlink, CPUS "/online", text, 10);
    int file = open(CPUS "/online", O_RDONLY);
    FAILS(EBADF, "ebadf-write", SYS_write, file, "0\n", 2);
    FAILS(EFAULT, "efault", SYS_read, file, 8, 10);
    FAILS(ENODEV, "enodev-mmap", SYS_mmap, 0, 4096, 1, 2, file, 0);
    FAILS(ENOTDIR, "enotdir-getdents", SYS_getdents64, file, text, sizeof text);
    close(file);
}

int main(void)
{
    struct stat status;
    if (stat("/sys/kernel", &status)) {
        int result = mount("sysfs", "/sys", "sysfs", 0, NULL);
        check(result == 0, "mount", "%m");
    }
    test_texts();
    test_directories();
    test_links();
    test_errors();
    return summary();
}
