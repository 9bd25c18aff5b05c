// fixed DIRECTORY
//
// What it proves: what is immutable, or only added to, stays so for root, too, and who tries to
// change it is told so in Linux's words. DIRECTORY has been made ready from outside, in this way:
//
//     cd DIRECTORY; mkdir still log; echo old | tee immutable append still/name log/name
//     chattr +i immutable still; chattr +a append log

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "sys.h"

// From Linux's own headers, which not every C library has.
#ifndef FALLOC_FL_KEEP_SIZE
#define FALLOC_FL_KEEP_SIZE 1
#define FALLOC_FL_PUNCH_HOLE 2
#endif
#define ATTRIBUTE_IMMUTABLE 0x10
#define ATTRIBUTE_APPEND 0x20

#define FAILS(error, name, ...) check_error(name, SYS(__VA_ARGS__), error)
#define GIVES(result, name, ...) check_result(name, SYS(__VA_ARGS__), result)

static const struct timespec now[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
static const struct timespec then[2] = {{1, 0}, {1, 0}};

// What neither kind of file lets anybody do.
static void test_both(const char *path)
{
    printf("# %s\n", path);
    FAILS(EPERM, "open-write", SYS_open, path, O_WRONLY);
    FAILS(EPERM, "open-truncate", SYS_open, path, O_RDONLY | O_TRUNC);
    FAILS(EPERM, "truncate", SYS_truncate, path, 0);
    FAILS(EPERM, "chmod", SYS_chmod, path, 0600);
    FAILS(EPERM, "chown", SYS_chown, path, 1, -1);
    FAILS(EPERM, "chgrp", SYS_chown, path, -1, 1);
    FAILS(EPERM, "utimes", SYS_utimensat, AT_FDCWD, path, then, 0);
    FAILS(EPERM, "link", SYS_link, path, "another");
    FAILS(EPERM, "unlink", SYS_unlink, path);
    FAILS(EPERM, "rename", SYS_rename, path, "another");
    GIVES(0, "mknod", SYS_mknod, "free", S_IFREG | 0644, 0);
    FAILS(EPERM, "replace", SYS_rename, "free", path);
    FAILS(EPERM, "exchange", SYS_renameat2, AT_FDCWD, "free", AT_FDCWD, path, 2);
    GIVES(0, "unlink-free", SYS_unlink, "free");
}

static uint64_t attributes(const char *path)
{
    uint64_t all[32] = {0};
    return SYS(SYS_statx, AT_FDCWD, path, 0, 0x7ff, all) ? 0 : all[1] & 0x30;
}

static void test_immutable(void)
{
    FAILS(EPERM, "open-append", SYS_open, "immutable", O_WRONLY | O_APPEND);
    FAILS(EPERM, "touch", SYS_utimensat, AT_FDCWD, "immutable", now, 0);
    FAILS(EPERM, "access-write", SYS_access, "immutable", W_OK);
    GIVES(0, "access-read", SYS_access, "immutable", R_OK);
    check(attributes("immutable") == ATTRIBUTE_IMMUTABLE, "statx", "%lx",
          (long)attributes("immutable"));
    char text[8] = "";
    int file = open("immutable", O_RDONLY);
    check(read(file, text, 8) == 4 && !strcmp(text, "old\n"), "read", "%s", text);
    close(file);
}

static void test_append(void)
{
    GIVES(0, "touch", SYS_utimensat, AT_FDCWD, "append", now, 0);
    GIVES(0, "access-write", SYS_access, "append", W_OK);
    check(attributes("append") == ATTRIBUTE_APPEND, "statx", "%lx", (long)attributes("append"));
    int file = SYS(SYS_open, "append", O_RDWR | O_APPEND);
    check(file >= 0, "open-append", "%d", file);
    GIVES(4, "write", SYS_pwrite64, file, "new\n", 4, 0);
    char text[16] = "";
    GIVES(8, "read", SYS_pread64, file, text, 16, 0);
    check(!strcmp(text, "old\nnew\n"), "added", "%s", text);
    FAILS(EPERM, "no-append", SYS_fcntl, file, F_SETFL, 0);
    GIVES(0, "nonblock", SYS_fcntl, file, F_SETFL, O_APPEND | O_NONBLOCK);
    FAILS(EPERM, "ftruncate", SYS_ftruncate, file, 0);
    FAILS(EPERM, "ftruncate-longer", SYS_ftruncate, file, 10000);
    FAILS(EPERM, "punch", SYS_fallocate, file, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 0, 4);
    FAILS(EACCES, "map-shared", SYS_mmap, 0, 4096, PROT_READ, MAP_SHARED, file, 0);
    long map = SYS(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    check(map > 0, "map-private", "%ld", map);
    SYS(SYS_munmap, map, 4096);
    close(file);
    file = open("append", O_RDONLY);
    map = SYS(SYS_mmap, 0, 4096, PROT_READ, MAP_SHARED, file, 0);
    check(map > 0, "map-read-only", "%ld", map);
    SYS(SYS_munmap, map, 4096);
    close(file);
}

static void test_directories(void)
{
    FAILS(EPERM, "still-create", SYS_open, "still/new", O_WRONLY | O_CREAT, 0644);
    FAILS(EPERM, "still-mkdir", SYS_mkdir, "still/new", 0755);
    FAILS(EPERM, "still-link", SYS_link, "still/name", "still/new");
    FAILS(EPERM, "still-unlink", SYS_unlink, "still/name");
    FAILS(EPERM, "still-rename", SYS_rename, "still/name", "still/new");
    FAILS(EPERM, "still-rmdir", SYS_rmdir, "still");
    FAILS(EPERM, "still-move", SYS_rename, "still", "moved");
    FAILS(EPERM, "still-chmod", SYS_chmod, "still", 0700);
    // What is in it is not immutable itself.
    int file = SYS(SYS_open, "still/name", O_RDWR);
    check(file >= 0, "still-open", "%d", file);
    close(file);

    file = SYS(SYS_open, "log/new", O_WRONLY | O_CREAT, 0644);
    check(file >= 0, "log-create", "%d", file);
    close(file);
    FAILS(EPERM, "log-unlink", SYS_unlink, "log/new");
    FAILS(EPERM, "log-rename", SYS_rename, "log/new", "log/newer");
    FAILS(EPERM, "log-rename-away", SYS_rename, "log/name", "name");
    FAILS(EPERM, "log-rmdir", SYS_rmdir, "log");
    GIVES(0, "log-mkdir", SYS_mkdir, "log/inside", 0755);
    FAILS(EPERM, "log-rmdir-inside", SYS_rmdir, "log/inside");
    GIVES(0, "mkdir", SYS_mkdir, "out", 0755);
    GIVES(0, "log-move-in", SYS_rename, "out", "log/out");
}

int main(int argc, char **argv)
{
    if (argc != 2 || chdir(argv[1])) {
        printf("usage: fixed DIRECTORY\n");
        return 2;
    }
    test_both("immutable");
    test_both("append");
    test_immutable();
    test_append();
    test_directories();
    return summary();
}
