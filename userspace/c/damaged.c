// damaged DIRECTORY
//
// What it proves, on a file system that becomes read-only when it is found to be damaged, in the
// directory `bad`: who wrote to a file before and did not store it is told by fsync(2), and nobody
// can write any more. What was stored before stays.

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "check.h"
#include "sys.h"

static char bytes[5000];

int main(int argc, char **argv)
{
    if (argc < 2 || chdir(argv[1]))
        return 1;
    memset(bytes, 'x', sizeof bytes);
    int stored = open("stored", O_RDWR | O_CREAT, 0644);
    check_result("stored-write", SYS(SYS_write, stored, bytes, sizeof bytes), sizeof bytes);
    check_result("stored-fsync", SYS(SYS_fsync, stored), 0);
    int lost = open("lost", O_RDWR | O_CREAT, 0644);
    check_result("lost-write", SYS(SYS_write, lost, bytes, sizeof bytes), sizeof bytes);
    int directory = open("bad", O_RDONLY | O_DIRECTORY);
    long got = SYS(SYS_getdents64, directory, bytes, sizeof bytes);
    check(got < 0, "bad-directory", "%ld", got);
    got = SYS(SYS_fsync, lost);
    check(got == -EROFS || got == -EIO, "lost-fsync", "%ld", got);
    check_error("new-file", SYS(SYS_open, "new", O_WRONLY | O_CREAT, 0644), EROFS);
    got = SYS(SYS_write, stored, bytes, sizeof bytes);
    check(got == -EROFS || got == -EIO, "late-write", "%ld", got);
    check_result("stored-read", SYS(SYS_pread64, stored, bytes, sizeof bytes, 0), sizeof bytes);
    close(stored);
    close(lost);
    close(directory);
    return summary();
}
