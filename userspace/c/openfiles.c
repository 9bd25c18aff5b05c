// openfiles [DIRECTORY]
//
// What it proves: what is asked of open files, and of the descriptors that stand for them, is
// done as Linux does it. It works in a directory of its own below the current one, or another.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "sys.h"

#define FAILS(error, name, ...) check_error(name, SYS(__VA_ARGS__), error)
#define GIVES(result, name, ...) check_result(name, SYS(__VA_ARGS__), result)

static char bytes[1 << 18];

enum { WRITERS = 4, LINES = 100, PARTS = 20, PART = 7, LINE = PARTS * PART };

// Writes lines of one letter and a new line, each with one call and in many parts.
static int write_lines(int file, char letter)
{
    char text[LINE];
    struct iovec parts[PARTS];
    memset(text, letter, sizeof text);
    text[LINE - 1] = '\n';
    for (int part = 0; part < PARTS; part++)
        parts[part] = (struct iovec){text + part * PART, PART};
    for (int line = 0; line < LINES; line++)
        if (writev(file, parts, PARTS) != LINE)
            return 1;
    return 0;
}

// All lines of all writers are there, and whole. `shared`: they write to one open file.
static void check_lines(const char *name, int shared)
{
    int flags = O_WRONLY | O_CREAT | (shared ? 0 : O_APPEND);
    int file = open("lines", flags, 0600);
    for (int writer = 0; writer < WRITERS; writer++)
        if (fork() == 0) {
            int own = shared ? file : open("lines", flags);
            _exit(write_lines(own, (char)('a' + writer)));
        }
    int bad = 0, ended;
    for (int writer = 0; writer < WRITERS; writer++)
        bad += wait(&ended) < 0 || ended != 0;
    check(bad == 0, name, "%d writers failed", bad);
    close(file);
    file = open("lines", O_RDONLY);
    struct iovec halves[2] = {{bytes, 1000}, {bytes + 1000, sizeof bytes - 1000}};
    ssize_t len = readv(file, halves, 2);
    check(len == WRITERS * LINES * LINE, name, "%ld bytes", (long)len);
    int torn = 0;
    for (ssize_t at = 0; at + LINE <= len; at += LINE) {
        int whole = bytes[at + LINE - 1] == '\n';
        for (int byte = 0; byte < LINE - 1; byte++)
            whole &= bytes[at + byte] == bytes[at];
        torn += !whole;
    }
    check(torn == 0, name, "%d lines are torn", torn);
    close(file);
    unlink("lines");
}

static void test_vectors(void)
{
    check_lines("append", 0);
    check_lines("shared", 1);
    int file = open("f", O_RDWR | O_CREAT, 0600);
    struct iovec parts[12] = {{"one", 3}, {0, 0}, {"", 0}, {" two", 4}};
    GIVES(7, "writev", SYS_writev, file, parts, 4);
    GIVES(7, "writev-position", SYS_lseek, file, 0, SEEK_CUR);
    GIVES(7, "pwritev", SYS_pwritev, file, parts, 12, 5000);
    GIVES(7, "pwritev-stays", SYS_lseek, file, 0, SEEK_CUR);
    GIVES(0, "writev-empty", SYS_writev, file, parts + 4, 8);
    // What comes before the bad part counts.
    parts[2] = (struct iovec){(void *)8, 5};
    GIVES(3, "writev-bad", SYS_pwritev, file, parts, 4, 100);
    FAILS(EFAULT, "writev-bad-first", SYS_pwritev, file, parts + 2, 2, 100);
    char first[2], second[10];
    struct iovec to[3] = {{first, 2}, {second, 3}, {(void *)8, 2}};
    GIVES(5, "preadv-bad", SYS_preadv, file, to, 3, 0);
    check(!memcmp(first, "on", 2) && !memcmp(second, "e t", 3), "preadv-bytes", "other bytes");
    to[1].iov_len = 10;
    GIVES(7, "preadv-short", SYS_preadv, file, to, 2, 5000);
    FAILS(EINVAL, "too-many", SYS_writev, file, parts, 1025);
    close(file);
    unlink("f");
}

// An open that finds no free descriptor leaves all files as they are.
static void test_full_table(void)
{
    static int open_files[1024];
    int count = 0, limit = sizeof open_files / sizeof *open_files;
    struct rlimit most;
    getrlimit(RLIMIT_NOFILE, &most);
    if (most.rlim_cur > 1024) {
        most.rlim_cur = 1024;
        setrlimit(RLIMIT_NOFILE, &most);
    }
    int file = open("f", O_WRONLY | O_CREAT, 0600);
    check(write(file, "text", 4) == 4, "full-write", "%m");
    long number = 0;
    while (count < limit && (number = SYS(SYS_open, "f", O_RDONLY)) >= 0)
        open_files[count++] = (int)number;
    check_error("full", number, EMFILE);
    FAILS(EMFILE, "full-create", SYS_open, "g", O_WRONLY | O_CREAT, 0600);
    FAILS(EMFILE, "full-cut", SYS_open, "f", O_WRONLY | O_TRUNC);
    struct stat status;
    check(stat("g", &status) != 0 && errno == ENOENT, "full-not-made", "it is there");
    check(stat("f", &status) == 0 && status.st_size == 4, "full-not-cut", "it is cut");
    while (count > 0)
        close(open_files[--count]);
    // A number that an open had which failed is free again.
    FAILS(ENOENT, "number-taken", SYS_open, "none", O_RDONLY);
    long lowest = SYS(SYS_open, "f", O_RDONLY);
    check(lowest == file + 1, "number-free", "%ld", lowest);
    close((int)lowest);
    close(file);
    unlink("f");
}

static void test_close_on_exec(void)
{
    int kept = (int)SYS(SYS_open, "f", O_RDWR | O_CREAT, 0600);
    int closed = (int)SYS(SYS_open, "f", O_RDWR | O_CLOEXEC);
    GIVES(0, "getfd", SYS_fcntl, kept, F_GETFD);
    GIVES(FD_CLOEXEC, "getfd-cloexec", SYS_fcntl, closed, F_GETFD);
    check(!(SYS(SYS_fcntl, closed, F_GETFL) & O_CLOEXEC), "getfl-cloexec", "it is the file's");
    GIVES(0, "setfd", SYS_fcntl, kept, F_SETFD, -1);
    GIVES(FD_CLOEXEC, "getfd-set", SYS_fcntl, kept, F_GETFD);
    GIVES(0, "setfd-none", SYS_fcntl, closed, F_SETFD, 2);
    GIVES(0, "getfd-none", SYS_fcntl, closed, F_GETFD);
    int ended = -1, child = fork();
    if (child == 0)
        _exit((int)SYS(SYS_fcntl, kept, F_GETFD) * 2 + (int)SYS(SYS_fcntl, closed, F_GETFD));
    check(waitpid(child, &ended, 0) == child && ended == FD_CLOEXEC * 2 << 8, "getfd-forked", "%x",
          ended);
    close(kept);
    FAILS(EBADF, "getfd-closed", SYS_fcntl, kept, F_GETFD);
    FAILS(EBADF, "setfd-closed", SYS_fcntl, kept, F_SETFD, 0);
    kept = (int)SYS(SYS_open, "f", O_PATH);
    GIVES(0, "getfd-path", SYS_fcntl, kept, F_GETFD);
    close(kept);
    close(closed);
    unlink("f");
}

static void test_path_alone(void)
{
    int file = open("f", O_RDWR | O_CREAT, 0600);
    int path = open("f", O_PATH);
    struct timespec times[2] = {{1000, 0}, {1000, 0}};
    FAILS(EBADF, "path-fchmod", SYS_fchmod, path, 0644);
    FAILS(EBADF, "path-fchown", SYS_fchown, path, -1, -1);
    FAILS(EBADF, "path-utimens", SYS_utimensat, path, 0, times, 0);
    FAILS(EBADF, "path-futimes", SYS_futimesat, path, 0, 0);
    struct stat status;
    check(fstat(path, &status) == 0 && status.st_mode == (S_IFREG | 0600) &&
          status.st_mtim.tv_sec != 1000, "path-as-it-was", "%o", status.st_mode);
    GIVES(0, "path-fchownat", SYS_fchownat, path, "", -1, -1, AT_EMPTY_PATH);
    GIVES(0, "path-utimensat", SYS_utimensat, path, "", times, AT_EMPTY_PATH);
    check(fstat(file, &status) == 0 && status.st_mtim.tv_sec == 1000, "path-time", "%ld",
          (long)status.st_mtim.tv_sec);
    GIVES(0, "file-utimens", SYS_utimensat, file, 0, times, 0);
    FAILS(EINVAL, "file-utimens-flags", SYS_utimensat, file, 0, times, AT_SYMLINK_NOFOLLOW);
    FAILS(EINVAL, "file-utimens-empty", SYS_utimensat, file, 0, times, AT_EMPTY_PATH);
    FAILS(EFAULT, "utimens-nothing", SYS_utimensat, AT_FDCWD, 0, times, 0);
    FAILS(EFAULT, "futimes-nothing", SYS_futimesat, AT_FDCWD, 0, 0);
    times[0].tv_nsec = times[1].tv_nsec = UTIME_OMIT;
    GIVES(0, "utimens-omits", SYS_utimensat, -1, 0, times, 1);
    GIVES(0, "file-fchmod", SYS_fchmod, file, 0640);
    close(path);
    close(file);
    unlink("f");
}

// Calls that an empty path sends to what a descriptor stands for.
static void test_empty_paths(void)
{
    symlink("target", "l");
    int link = open("l", O_PATH | O_NOFOLLOW);
    int file = open("f", O_RDWR | O_CREAT, 0600);
    GIVES(6, "readlink-opened", SYS_readlinkat, link, "", bytes, 100);
    check(!memcmp(bytes, "target", 6), "readlink-text", "%.6s", bytes);
    FAILS(ENOENT, "readlink-file", SYS_readlinkat, file, "", bytes, 100);
    FAILS(ENOENT, "readlink-here", SYS_readlinkat, AT_FDCWD, "", bytes, 100);
    FAILS(EBADF, "readlink-closed", SYS_readlinkat, 999, "", bytes, 100);
    FAILS(ENOENT, "readlink-empty", SYS_readlink, "", bytes, 100);
    FAILS(EPERM, "link-here", SYS_linkat, AT_FDCWD, "", AT_FDCWD, "x", AT_EMPTY_PATH);
    FAILS(EBADF, "link-closed", SYS_linkat, 999, "", AT_FDCWD, "x", AT_EMPTY_PATH);
    FAILS(ENOENT, "link-empty", SYS_linkat, file, "", AT_FDCWD, "x", 0);
    GIVES(0, "link-opened", SYS_linkat, link, "", AT_FDCWD, "m", AT_EMPTY_PATH);
    GIVES(0, "link-unlinked", SYS_unlink, "m");
    // What has lost its last name gets no other.
    unlink("f");
    FAILS(ENOENT, "link-gone", SYS_linkat, file, "", AT_FDCWD, "g", AT_EMPTY_PATH);
    snprintf(bytes, sizeof bytes, "/proc/self/fd/%d", file);
    FAILS(ENOENT, "link-gone-proc", SYS_linkat, AT_FDCWD, bytes, AT_FDCWD, "g",
          AT_SYMLINK_FOLLOW);
    FAILS(EEXIST, "link-gone-over", SYS_linkat, file, "", AT_FDCWD, "l", AT_EMPTY_PATH);
    close(file);
    // What never had one may get one, once.
    int nameless = (int)SYS(SYS_open, ".", O_TMPFILE | O_RDWR, 0600);
    GIVES(0, "link-nameless", SYS_linkat, nameless, "", AT_FDCWD, "g", AT_EMPTY_PATH);
    GIVES(0, "link-nameless-too", SYS_linkat, nameless, "", AT_FDCWD, "h", AT_EMPTY_PATH);
    unlink("g");
    unlink("h");
    FAILS(ENOENT, "link-nameless-gone", SYS_linkat, nameless, "", AT_FDCWD, "g", AT_EMPTY_PATH);
    close(nameless);
    nameless = (int)SYS(SYS_open, ".", O_TMPFILE | O_EXCL | O_RDWR, 0600);
    FAILS(ENOENT, "link-never", SYS_linkat, nameless, "", AT_FDCWD, "g", AT_EMPTY_PATH);
    close(nameless);
    close(link);
    unlink("l");
}

static long read_at(const char *name)
{
    struct stat status;
    check(lstat(name, &status) == 0, name, "%m");
    return status.st_atim.tv_sec;
}

// Directories that are listed and links that are followed say when.
static void test_access_times(void)
{
    struct timespec times[2] = {{1000, 0}, {2000, 0}};
    mkdir("d", 0700);
    symlink("d", "l");
    int directory = open("d", O_RDONLY);
    int quiet = open("d", O_RDONLY | O_NOATIME);
    GIVES(0, "set-directory", SYS_utimensat, AT_FDCWD, "d", times, 0);
    GIVES(0, "set-link", SYS_utimensat, AT_FDCWD, "l", times, AT_SYMLINK_NOFOLLOW);
    check(read_at("d") == 1000 && read_at("l") == 1000, "as-set", "%ld", read_at("d"));
    check(SYS(SYS_getdents64, quiet, bytes, sizeof bytes) > 0, "list-quietly", "it fails");
    check(read_at("d") == 1000, "not-read", "%ld", read_at("d"));
    check(SYS(SYS_getdents64, directory, bytes, sizeof bytes) > 0, "list", "it fails");
    check(read_at("d") > 1000000000, "directory-read", "%ld", read_at("d"));
    GIVES(1, "readlink", SYS_readlink, "l", bytes, 100);
    check(read_at("l") > 1000000000, "link-read", "%ld", read_at("l"));
    GIVES(0, "set-link-again", SYS_utimensat, AT_FDCWD, "l", times, AT_SYMLINK_NOFOLLOW);
    GIVES(0, "follow", SYS_access, "l", R_OK);
    check(read_at("l") > 1000000000, "link-followed", "%ld", read_at("l"));
    close(directory);
    close(quiet);
    unlink("l");
    rmdir("d");
}

int main(int count, char **arguments)
{
    if (count > 1 && chdir(arguments[1]) != 0) {
        perror(arguments[1]);
        return 2;
    }
    char directory[32];
    snprintf(directory, sizeof directory, "openfiles-%d", getpid());
    umask(022);
    check(mkdir(directory, 0755) == 0 && chdir(directory) == 0, "begin", "%m");
    test_vectors();
    test_full_table();
    test_close_on_exec();
    test_path_alone();
    test_empty_paths();
    test_access_times();
    check(chdir("..") == 0 && rmdir(directory) == 0, "end", "%m");
    return summary();
}
