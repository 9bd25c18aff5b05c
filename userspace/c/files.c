// files [DIRECTORY]
//
// What it proves: the calls that make, name, change, and remove files do what Linux does, and
// say why not in Linux's words. It works in a directory of its own below
// the current one, or another.

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "sys.h"

// From Linux's own headers, which not every C library has.
#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#define RENAME_EXCHANGE 2
#endif
#ifndef FALLOC_FL_KEEP_SIZE
#define FALLOC_FL_KEEP_SIZE 1
#endif
#ifndef STATX_BASIC_STATS
#define STATX_BASIC_STATS 0x7ff
#endif

// What statx(2) writes.
struct extended {
    uint32_t stx_mask, stx_blksize;
    uint64_t stx_attributes;
    uint32_t stx_nlink, stx_uid, stx_gid;
    uint16_t stx_mode, spare;
    uint64_t stx_ino, stx_size, stx_blocks, stx_attributes_mask;
    struct {
        int64_t tv_sec;
        uint32_t tv_nsec, spare;
    } times[4];
    uint32_t stx_rdev_major, stx_rdev_minor, stx_dev_major, stx_dev_minor;
    uint64_t rest[14];
};
_Static_assert(sizeof(struct extended) == 256, "as Linux has it");

#define FAILS(error, name, ...) check_error(name, SYS(__VA_ARGS__), error)
#define GIVES(result, name, ...) check_result(name, SYS(__VA_ARGS__), result)

static struct stat status;
static char bytes[1 << 16];

static int is_there(const char *path)
{
    return lstat(path, &status) == 0;
}

static void put(const char *path, const char *text)
{
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    check(file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text), path, "%m");
    close(file);
}

static const char *get(const char *path)
{
    int file = open(path, O_RDONLY);
    ssize_t len = file < 0 ? -1 : read(file, bytes, sizeof bytes - 1);
    if (file >= 0)
        close(file);
    bytes[len < 0 ? 0 : len] = 0;
    return len < 0 ? strerror(errno) : bytes;
}

static void has(const char *path, const char *text)
{
    const char *found = get(path);
    check(!strcmp(found, text), path, "has \"%s\", not \"%s\"", found, text);
}

static void test_open(void)
{
    umask(027);
    int file = SYS(SYS_open, "new", O_RDWR | O_CREAT | O_EXCL, 0666);
    check(file >= 0, "create", "%d", file);
    fstat(file, &status);
    check(status.st_mode == (S_IFREG | 0640), "umask", "%o", status.st_mode);
    check(status.st_size == 0 && status.st_nlink == 1, "empty", "%ld", status.st_size);
    GIVES(027, "umask-was", SYS_umask, 022);
    FAILS(EEXIST, "exclusive", SYS_open, "new", O_RDWR | O_CREAT | O_EXCL, 0666);
    FAILS(ENOENT, "missing", SYS_open, "none", O_RDONLY);
    FAILS(ENOENT, "missing-way", SYS_open, "none/new", O_RDWR | O_CREAT, 0666);
    FAILS(ENOTDIR, "not-a-way", SYS_open, "new/new", O_RDWR | O_CREAT, 0666);
    FAILS(EISDIR, "slash", SYS_open, "none/", O_RDWR | O_CREAT, 0666);
    FAILS(ENOTDIR, "not-a-directory", SYS_open, "new", O_RDONLY | O_DIRECTORY);
    FAILS(EISDIR, "directory", SYS_open, ".", O_WRONLY);
    FAILS(EISDIR, "create-directory", SYS_open, ".", O_CREAT, 0666);
    char name[300];
    memset(name, 'n', sizeof name);
    name[256] = 0;
    FAILS(ENAMETOOLONG, "long-name", SYS_open, name, O_WRONLY | O_CREAT, 0666);
    name[255] = 0;
    int longest = SYS(SYS_open, name, O_WRONLY | O_CREAT, 0666);
    check(longest >= 0, "longest-name", "%d", longest);
    close(longest);
    GIVES(0, "longest-gone", SYS_unlink, name);

    GIVES(5, "write", SYS_write, file, "hello", 5);
    GIVES(2, "pread", SYS_pread64, file, bytes, 2, 3);
    check(!memcmp(bytes, "lo", 2), "pread-bytes", "%.2s", bytes);
    GIVES(3, "pwrite", SYS_pwrite64, file, "LOW", 3, 3);
    GIVES(5, "position-stays", SYS_lseek, file, 0, SEEK_CUR);
    FAILS(EINVAL, "pread-negative", SYS_pread64, file, bytes, 2, -1L);
    GIVES(0, "pread-behind", SYS_pread64, file, bytes, 10, 100);
    close(file);
    has("new", "helLOW");
    int append = SYS(SYS_open, "new", O_WRONLY | O_APPEND);
    GIVES(0, "seek-start", SYS_lseek, append, 0, SEEK_SET);
    GIVES(1, "append", SYS_write, append, "!", 1);
    GIVES(7, "append-position", SYS_lseek, append, 0, SEEK_CUR);
    check(SYS(SYS_fcntl, append, F_GETFL) & O_APPEND, "getfl", "no O_APPEND");
    GIVES(0, "setfl", SYS_fcntl, append, F_SETFL, 0);
    GIVES(0, "seek-again", SYS_lseek, append, 0, SEEK_SET);
    GIVES(1, "no-append", SYS_write, append, "H", 1);
    FAILS(EBADF, "read-write-only", SYS_read, append, bytes, 1);
    close(append);
    has("new", "HelLOW!");
    int path = SYS(SYS_open, "new", O_PATH);
    FAILS(EBADF, "path-read", SYS_pread64, path, bytes, 1, 0);
    FAILS(EBADF, "path-truncate", SYS_ftruncate, path, 0);
    FAILS(EBADF, "path-sync", SYS_fsync, path);
    close(path);
    int truncated = SYS(SYS_open, "new", O_RDONLY | O_TRUNC);
    fstat(truncated, &status);
    check(status.st_size == 0, "truncated", "%ld", status.st_size);
    FAILS(EINVAL, "truncate-read-only", SYS_ftruncate, truncated, 5);
    GIVES(0, "fsync", SYS_fsync, truncated);
    GIVES(0, "fdatasync", SYS_fdatasync, truncated);
    close(truncated);
    int stored = SYS(SYS_open, "new", O_WRONLY | O_SYNC);
    check((SYS(SYS_fcntl, stored, F_GETFL) & O_SYNC) == O_SYNC, "getfl-sync", "no O_SYNC");
    GIVES(5, "write-sync", SYS_write, stored, "12345", 5);
    GIVES(2, "pwrite-sync", SYS_pwrite64, stored, "ab", 2, 1);
    close(stored);
    stored = SYS(SYS_open, "new", O_WRONLY | O_DSYNC | O_APPEND);
    check((SYS(SYS_fcntl, stored, F_GETFL) & O_SYNC) == O_DSYNC, "getfl-dsync", "no O_DSYNC");
    GIVES(1, "append-dsync", SYS_write, stored, "6", 1);
    close(stored);
    has("new", "1ab456");
    int nameless = SYS(SYS_open, ".", O_TMPFILE | O_RDWR, 0600);
    check(nameless >= 0, "nameless", "%d", nameless);
    GIVES(4, "nameless-write", SYS_write, nameless, "text", 4);
    fstat(nameless, &status);
    check(status.st_nlink == 0, "nameless-links", "%ld", (long)status.st_nlink);
    GIVES(0, "nameless-named", SYS_linkat, nameless, "", AT_FDCWD, "named", AT_EMPTY_PATH);
    close(nameless);
    has("named", "text");
    FAILS(EISDIR, "creat-directory", SYS_creat, ".", 0666);
    unlink("named");
    unlink("new");
}

static void test_names(void)
{
    GIVES(0, "mkdir", SYS_mkdir, "a", 0777);
    is_there("a");
    check(status.st_mode == (S_IFDIR | 0755) && status.st_nlink == 2, "mode", "%o", status.st_mode);
    FAILS(EEXIST, "mkdir-again", SYS_mkdir, "a", 0777);
    FAILS(EEXIST, "mkdir-dot", SYS_mkdir, ".", 0777);
    FAILS(EEXIST, "mkdir-root", SYS_mkdir, "/", 0777);
    FAILS(ENOENT, "mkdir-empty", SYS_mkdir, "", 0777);
    FAILS(ENOENT, "mkdir-way", SYS_mkdir, "x/y", 0777);
    GIVES(0, "mkdir-slash", SYS_mkdir, "a/b/", 0777);
    is_there("a");
    check(status.st_nlink == 3, "links-of-parent", "%ld", (long)status.st_nlink);
    FAILS(ENOTEMPTY, "rmdir-full", SYS_rmdir, "a");
    FAILS(EINVAL, "rmdir-dot", SYS_rmdir, "a/.");
    FAILS(ENOTEMPTY, "rmdir-dotdot", SYS_rmdir, "a/b/..");
    FAILS(EISDIR, "unlink-directory", SYS_unlink, "a/b");
    FAILS(ENOENT, "unlink-none", SYS_unlink, "a/none");
    put("a/f", "f");
    FAILS(ENOTDIR, "rmdir-file", SYS_rmdir, "a/f");
    FAILS(ENOTDIR, "unlink-slash", SYS_unlink, "a/f/");
    FAILS(EINVAL, "unlinkat-flags", SYS_unlinkat, AT_FDCWD, "a/f", 1);
    int a = SYS(SYS_open, "a", O_RDONLY | O_DIRECTORY);
    GIVES(0, "mkdirat", SYS_mkdirat, a, "c", 0700);
    GIVES(0, "unlinkat-directory", SYS_unlinkat, a, "c", AT_REMOVEDIR);
    GIVES(0, "unlinkat", SYS_unlinkat, a, "f", 0);
    GIVES(0, "rmdir", SYS_rmdir, "a/b");
    GIVES(0, "rmdir-open", SYS_rmdir, "a");
    FAILS(ENOENT, "in-what-is-gone", SYS_mkdirat, a, "d", 0700);
    GIVES(0, "into-what-is-gone", SYS_fchdir, a);
    FAILS(ENOENT, "getcwd-gone", SYS_getcwd, bytes, sizeof bytes);
    fstat(a, &status);
    check(status.st_nlink == 0, "links-of-gone", "%ld", (long)status.st_nlink);
    FAILS(ENOENT, "getdents-gone", SYS_getdents64, a, bytes, sizeof bytes);
    close(a);
}

static void test_links(void)
{
    put("f", "text");
    GIVES(0, "link", SYS_link, "f", "g");
    FAILS(EEXIST, "link-again", SYS_link, "f", "g");
    FAILS(ENOENT, "link-none", SYS_link, "none", "h");
    mkdir("d", 0755);
    FAILS(EPERM, "link-directory", SYS_link, "d", "h");
    is_there("g");
    ino_t inode = status.st_ino;
    check(status.st_nlink == 2, "two-links", "%ld", (long)status.st_nlink);
    GIVES(0, "unlink", SYS_unlink, "f");
    is_there("g");
    check(status.st_nlink == 1 && status.st_ino == inode, "one-link", "%ld", (long)status.st_nlink);
    int open_one = open("g", O_RDWR);
    GIVES(0, "unlink-open", SYS_unlink, "g");
    fstat(open_one, &status);
    check(status.st_nlink == 0, "no-link", "%ld", (long)status.st_nlink);
    GIVES(4, "read-unlinked", SYS_read, open_one, bytes, 10);
    GIVES(2, "write-unlinked", SYS_write, open_one, "xy", 2);
    snprintf(bytes, sizeof bytes, "/proc/self/fd/%d", open_one);
    char where[4096];
    ssize_t len = readlink(bytes, where, sizeof where - 1);
    where[len < 0 ? 0 : len] = 0;
    check(len > 10 && !strcmp(where + len - 10, " (deleted)"), "deleted", "%s", where);
    close(open_one);

    GIVES(0, "symlink", SYS_symlink, "target", "l");
    FAILS(EEXIST, "symlink-again", SYS_symlink, "target", "l");
    FAILS(ENOENT, "symlink-empty", SYS_symlink, "", "m");
    is_there("l");
    check(status.st_mode == (S_IFLNK | 0777) && status.st_size == 6, "symlink-status", "%o",
          status.st_mode);
    GIVES(3, "readlink-short", SYS_readlink, "l", bytes, 3);
    GIVES(6, "readlink", SYS_readlink, "l", bytes, 100);
    check(!memcmp(bytes, "target", 6), "readlink-text", "%.6s", bytes);
    FAILS(EINVAL, "readlink-directory", SYS_readlink, "d", bytes, 100);
    FAILS(ENOENT, "dangling", SYS_open, "l", O_RDONLY);
    put("l", "through");
    has("target", "through");
    FAILS(ELOOP, "nofollow", SYS_open, "l", O_RDONLY | O_NOFOLLOW);
    FAILS(EEXIST, "exclusive-link", SYS_open, "l", O_RDWR | O_CREAT | O_EXCL, 0600);
    GIVES(0, "link-to-link", SYS_linkat, AT_FDCWD, "l", AT_FDCWD, "m", 0);
    is_there("m");
    check(S_ISLNK(status.st_mode), "is-link", "%o", status.st_mode);
    GIVES(0, "link-through", SYS_linkat, AT_FDCWD, "l", AT_FDCWD, "n", AT_SYMLINK_FOLLOW);
    has("n", "through");
    symlink("loop", "loop");
    FAILS(ELOOP, "loop", SYS_open, "loop", O_RDONLY);
    FAILS(ELOOP, "loop-way", SYS_mkdir, "loop/x", 0700);
    unlink("loop");
    GIVES(0, "fifo", SYS_mknod, "fifo", S_IFIFO | 0600, 0);
    is_there("fifo");
    check(status.st_mode == (S_IFIFO | 0600), "fifo-mode", "%o", status.st_mode);
    GIVES(0, "node", SYS_mknodat, AT_FDCWD, "node", S_IFCHR | 0600, makedev(300, 70000));
    is_there("node");
    check(status.st_rdev == makedev(300, 70000), "node-number", "%lx", (long)status.st_rdev);
    FAILS(ENXIO, "node-open", SYS_open, "node", O_RDONLY);
    GIVES(0, "regular-node", SYS_mknod, "regular", 0600, 0);
    FAILS(EPERM, "directory-node", SYS_mknod, "e", S_IFDIR | 0700, 0);
    FAILS(EINVAL, "bad-node", SYS_mknod, "e", S_IFLNK | 0700, 0);
    for (const char **name = (const char *[]){"l", "m", "n", "target", "fifo", "node", "regular", 0};
         *name; name++)
        check(unlink(*name) == 0, *name, "%m");
    rmdir("d");
}

static int move(const char *from, const char *to, int flags)
{
    return SYS(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags);
}

static void test_rename(void)
{
    put("f", "f");
    put("g", "g");
    mkdir("d", 0755);
    mkdir("d/e", 0755);
    mkdir("empty", 0755);
    GIVES(0, "rename", SYS_rename, "f", "d/f");
    check(!is_there("f"), "gone", "still there");
    has("d/f", "f");
    GIVES(0, "replace", SYS_rename, "g", "d/f");
    has("d/f", "g");
    FAILS(ENOENT, "none", SYS_rename, "none", "x");
    FAILS(ENOTDIR, "directory-over-file", SYS_rename, "empty", "d/f");
    FAILS(EISDIR, "file-over-directory", SYS_rename, "d/f", "empty");
    FAILS(ENOTEMPTY, "over-full", SYS_rename, "empty", "d");
    FAILS(EINVAL, "into-itself", SYS_rename, "d", "d/e/x");
    FAILS(ENOTEMPTY, "over-above", SYS_rename, "d/e", "d");
    FAILS(EBUSY, "dot", SYS_rename, "d/.", "x");
    FAILS(EBUSY, "to-dotdot", SYS_rename, "d", "d/..");
    FAILS(ENOTDIR, "file-slash", SYS_rename, "d/f", "x/");
    FAILS(EXDEV, "elsewhere", SYS_rename, "d/f", "/proc/x");
    GIVES(0, "onto-itself", SYS_rename, "d/f", "d/f");
    GIVES(0, "over-empty", SYS_rename, "d/e", "empty");
    check(is_there("empty") && status.st_nlink == 2, "is-moved", "%ld", (long)status.st_nlink);
    is_there("d");
    check(status.st_nlink == 2, "links", "%ld", (long)status.st_nlink);
    check_error("noreplace", move("d/f", "empty", RENAME_NOREPLACE), EEXIST);
    check_error("exchange-none", move("d/f", "none", RENAME_EXCHANGE), ENOENT);
    check_error("flags", move("d/f", "none", RENAME_EXCHANGE | RENAME_NOREPLACE), EINVAL);
    check_error("exchange-above", move("d/f", "d", RENAME_EXCHANGE), EINVAL);
    check_result("exchange", move("d/f", "empty", RENAME_EXCHANGE), 0);
    has("empty", "g");
    check(is_there("d/f") && S_ISDIR(status.st_mode), "exchanged", "%o", status.st_mode);
    // Two names of one file: nothing happens.
    link("empty", "again");
    GIVES(0, "same-file", SYS_rename, "empty", "again");
    check(is_there("empty") && is_there("again"), "both-stay", "one is gone");
    // Who is in a directory goes along.
    mkdir("d/in", 0755);
    check(chdir("d/in") == 0, "chdir", "%m");
    GIVES(0, "move-me", SYS_rename, "../../d", "../../moved");
    check(getcwd(bytes, sizeof bytes) && strstr(bytes, "/moved/in"), "getcwd", "%s", bytes);
    check(chdir("../..") == 0, "up", "%m");
    rmdir("moved/in");
    rmdir("moved/f");
    rmdir("moved");
    unlink("empty");
    unlink("again");
}

static void test_bytes(void)
{
    int file = open("f", O_RDWR | O_CREAT, 0644);
    GIVES(0, "grow", SYS_ftruncate, file, 10000);
    GIVES(1, "far", SYS_pwrite64, file, "x", 1, 20000);
    memset(bytes, 1, sizeof bytes);
    GIVES(20001, "read", SYS_pread64, file, bytes, sizeof bytes, 0);
    int zeros = 1;
    for (int at = 0; at < 20000; at++)
        zeros &= bytes[at] == 0;
    check(zeros && bytes[20000] == 'x', "hole", "not zero");
    GIVES(0, "cut", SYS_truncate, "f", 3);
    GIVES(0, "grow-again", SYS_ftruncate, file, 4096);
    pwrite(file, "abcdef", 6, 0);
    GIVES(0, "cut-within", SYS_ftruncate, file, 3);
    GIVES(0, "grow-within", SYS_ftruncate, file, 6);
    GIVES(6, "read-within", SYS_pread64, file, bytes, 100, 0);
    check(!memcmp(bytes, "abc\0\0\0", 6), "zero-within", "not zero");
    FAILS(EINVAL, "negative", SYS_ftruncate, file, -1L);
    FAILS(EISDIR, "truncate-directory", SYS_truncate, ".", 0);
    FAILS(ENOENT, "truncate-none", SYS_truncate, "none", 0);
    FAILS(EINVAL, "seek-negative", SYS_lseek, file, -1L, SEEK_SET);
    GIVES(106, "seek-behind", SYS_lseek, file, 100, SEEK_END);
    FAILS(EINVAL, "whence", SYS_lseek, file, 0, 9);
    FAILS(ENXIO, "data-behind", SYS_lseek, file, 6, SEEK_DATA);
    GIVES(6, "hole-at-end", SYS_lseek, file, 0, SEEK_HOLE);
    GIVES(0, "allocate", SYS_fallocate, file, 0, 0, 5000);
    fstat(file, &status);
    check(status.st_size == 5000, "allocated", "%ld", status.st_size);
    FAILS(EINVAL, "allocate-none", SYS_fallocate, file, 0, 0, 0);
    FAILS(EINVAL, "allocate-negative", SYS_fallocate, file, 0, -1L, 10);
    // Not all file systems have room behind the end of a file.
    long kept = SYS(SYS_fallocate, file, FALLOC_FL_KEEP_SIZE, 0, 9000);
    check(kept == 0 || kept == -EOPNOTSUPP, "allocate-keep", "%ld", kept);
    fstat(file, &status);
    check(status.st_size == 5000, "kept", "%ld", status.st_size);

    struct iovec parts[2] = {{"one ", 4}, {"two", 3}};
    GIVES(7, "pwritev", SYS_pwritev, file, parts, 2, 100);
    char first[3], second[10];
    struct iovec to[2] = {{first, 3}, {second, 4}};
    GIVES(7, "preadv", SYS_preadv, file, to, 2, 100);
    check(!memcmp(first, "one", 3) && !memcmp(second, " two", 4), "vectors", "other bytes");
    FAILS(EFAULT, "bad-buffer", SYS_pwrite64, file, 8, 10, 0);
    FAILS(EFAULT, "bad-to", SYS_pread64, file, 8, 10, 0);

    int other = open("g", O_RDWR | O_CREAT, 0644);
    long offset = 100;
    GIVES(7, "sendfile", SYS_sendfile, other, file, &offset, 7);
    check(offset == 107, "sendfile-offset", "%ld", offset);
    has("g", "one two");
    long from = 104, into = 0;
    GIVES(3, "copy-range", SYS_copy_file_range, file, &from, other, &into, 3, 0);
    has("g", "two two");
    check(from == 107 && into == 3, "copy-offsets", "%ld %ld", from, into);
    FAILS(EINVAL, "copy-overlap", SYS_copy_file_range, file, &from, file, &from, 10, 0);
    FAILS(EINVAL, "copy-flags", SYS_copy_file_range, file, &from, other, &into, 3, 1);
    close(other);
    close(file);
    unlink("f");
    unlink("g");
}

static void test_attributes(void)
{
    // This program runs.
    FAILS(ETXTBSY, "running-open", SYS_open, "/proc/self/exe", O_WRONLY);
    FAILS(ETXTBSY, "running-cut", SYS_open, "/proc/self/exe", O_RDONLY | O_TRUNC);
    FAILS(ETXTBSY, "running-truncate", SYS_truncate, "/proc/self/exe", 0);
    put("f", "text");
    mkdir("d", 0755);
    symlink("f", "l");
    GIVES(0, "chmod", SYS_chmod, "l", 0600);
    is_there("f");
    check(status.st_mode == (S_IFREG | 0600), "chmod-through", "%o", status.st_mode);
    GIVES(0, "chmod-all", SYS_chmod, "f", 07777);
    is_there("f");
    check(status.st_mode == (S_IFREG | 07777), "all-bits", "%o", status.st_mode);
    GIVES(0, "chown", SYS_chown, "f", 5, 6);
    is_there("f");
    check(status.st_uid == 5 && status.st_gid == 6, "owner", "%d", status.st_uid);
    check(status.st_mode == (S_IFREG | 01777), "no-set-id", "%o", status.st_mode);
    GIVES(0, "chown-group", SYS_fchownat, AT_FDCWD, "f", -1, 7, 0);
    is_there("f");
    check(status.st_uid == 5 && status.st_gid == 7, "group-alone", "%d", status.st_gid);
    GIVES(0, "lchown", SYS_lchown, "l", 8, 9);
    is_there("l");
    check(status.st_uid == 8, "link-owner", "%d", status.st_uid);
    FAILS(ENOENT, "chmod-none", SYS_chmod, "none", 0600);
    FAILS(EINVAL, "chown-flags", SYS_fchownat, AT_FDCWD, "f", 0, 0, 1);

    struct timespec times[2] = {{1000, 5}, {2000, 999999999}};
    GIVES(0, "utimensat", SYS_utimensat, AT_FDCWD, "f", times, 0);
    is_there("f");
    check(status.st_atim.tv_sec == 1000 && status.st_mtim.tv_nsec == 999999999, "times", "%ld",
          status.st_atim.tv_sec);
    times[0].tv_nsec = UTIME_OMIT;
    times[1].tv_nsec = UTIME_NOW;
    GIVES(0, "utime-now", SYS_utimensat, AT_FDCWD, "f", times, 0);
    is_there("f");
    check(status.st_atim.tv_sec == 1000 && status.st_mtim.tv_sec > 1000000000, "now", "%ld",
          status.st_mtim.tv_sec);
    times[0].tv_nsec = 1000000000;
    FAILS(EINVAL, "bad-time", SYS_utimensat, AT_FDCWD, "f", times, 0);
    times[0].tv_nsec = times[1].tv_nsec = UTIME_OMIT;
    GIVES(0, "omit-both", SYS_utimensat, AT_FDCWD, "f", times, 0);
    long seconds[2] = {3000, -4000};
    GIVES(0, "utime", SYS_utime, "f", seconds);
    is_there("f");
    check(status.st_mtim.tv_sec == -4000, "before-1970", "%ld", status.st_mtim.tv_sec);
    // Writing is a change.
    put("f", "again");
    is_there("f");
    check(status.st_mtim.tv_sec > 1000000000, "written", "%ld", status.st_mtim.tv_sec);

    GIVES(0, "access", SYS_access, "f", R_OK | W_OK);
    GIVES(0, "access-exec", SYS_access, "d", X_OK);
    chmod("f", 0600);
    FAILS(EACCES, "no-exec", SYS_access, "f", X_OK);
    FAILS(ENOENT, "access-none", SYS_access, "none", F_OK);
    FAILS(EINVAL, "access-mode", SYS_access, "f", 8);
    GIVES(0, "faccessat", SYS_faccessat, AT_FDCWD, "f", F_OK);

    struct extended extended;
    GIVES(0, "statx", SYS_statx, AT_FDCWD, "l", AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &extended);
    check(S_ISLNK(extended.stx_mode) && extended.stx_size == 1, "statx-link", "%o",
          extended.stx_mode);
    int file = open("f", O_RDONLY);
    GIVES(0, "statx-open", SYS_statx, file, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &extended);
    is_there("f");
    check(extended.stx_ino == status.st_ino && extended.stx_size == 5 &&
          makedev(extended.stx_dev_major, extended.stx_dev_minor) == status.st_dev,
          "statx-same", "%ld", (long)extended.stx_ino);
    check((extended.stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS, "statx-mask", "%x",
          extended.stx_mask);
    FAILS(EINVAL, "statx-flags", SYS_statx, AT_FDCWD, "f", 0x8000, 0, &extended);
    FAILS(EFAULT, "statx-null", SYS_statx, AT_FDCWD, "f", 0, 0, 8);
    struct statfs room;
    GIVES(0, "statfs", SYS_statfs, ".", &room);
    check(room.f_bsize > 0 && room.f_blocks > 0 && room.f_bfree <= room.f_blocks &&
          room.f_namelen == 255, "room", "%ld", (long)room.f_blocks);
    GIVES(0, "fstatfs", SYS_fstatfs, file, &room);
    GIVES(0, "statfs-proc", SYS_statfs, "/proc", &room);
    check(room.f_type == 0x9fa0, "proc-magic", "%lx", (long)room.f_type);
    GIVES(0, "fchmod", SYS_fchmod, file, 0644);
    GIVES(0, "syncfs", SYS_syncfs, file);
    GIVES(0, "sync", SYS_sync);
    close(file);
    unlink("f");
    unlink("l");
    rmdir("d");
}

// Many names in one directory, by several processes, some of which go while others come.
static void test_many(void)
{
    enum { PROCESSES = 4, NAMES = 300 };
    char name[64];
    mkdir("many", 0755);
    for (int process = 0; process < PROCESSES; process++) {
        if (fork())
            continue;
        int wrong = 0;
        for (int number = 0; number < NAMES; number++) {
            snprintf(name, sizeof name, "many/%d-%d", process, number);
            int file = open(name, O_WRONLY | O_CREAT | O_EXCL, 0600);
            wrong += file < 0 || write(file, name, strlen(name)) != (ssize_t)strlen(name);
            close(file);
            char to[64];
            snprintf(to, sizeof to, "many/%d+%d", process, number);
            wrong += number % 3 == 0 && rename(name, to) != 0;
            wrong += number % 3 == 1 && unlink(name) != 0;
        }
        _exit(wrong != 0);
    }
    int bad = 0, ended;
    for (int process = 0; process < PROCESSES; process++)
        bad += wait(&ended) < 0 || ended != 0;
    check(bad == 0, "processes", "%d of them went wrong", bad);
    DIR *directory = opendir("many");
    int found = 0, wrong = 0;
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        if (entry->d_name[0] == '.')
            continue;
        found++;
        snprintf(name, sizeof name, "many/%.40s", entry->d_name);
        wrong += unlink(name) != 0;
    }
    closedir(directory);
    check(found == PROCESSES * NAMES * 2 / 3, "names", "%d", found);
    check(wrong == 0 && rmdir("many") == 0, "all-gone", "%d left, %m", wrong);
}

int main(int count, char **arguments)
{
    if (count > 1 && chdir(arguments[1]) != 0) {
        perror(arguments[1]);
        return 2;
    }
    char directory[32];
    snprintf(directory, sizeof directory, "files-%d", getpid());
    umask(022);
    check(mkdir(directory, 0755) == 0 && chdir(directory) == 0, "begin", "%m");
    int home = open(".", O_RDONLY);
    void (*const tests[])(void) = {test_open, test_names, test_links, test_rename, test_bytes,
                                   test_attributes, test_many};
    for (unsigned index = 0; index < sizeof tests / sizeof *tests; index++) {
        tests[index]();
        fchdir(home);
    }
    check(chdir("..") == 0 && rmdir(directory) == 0, "end", "%m");
    return summary();
}
