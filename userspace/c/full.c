// full DIRECTORY [again]
//
// What it proves, on a file system with little room: who asks for more room than there is gets
// ENOSPC and none of it, and what is written afterwards is stored, with the room that it takes told.
// `again` looks whether it is there, when the file system has been mounted anew.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "check.h"
#include "sys.h"

enum { LEN = 64 * 1024, MOST = 512 << 20 };

static unsigned char bytes[LEN], found[LEN];

static void fill(int seed)
{
    for (int at = 0; at < LEN; at++)
        bytes[at] = at * 31 + at / 251 + seed;
}

static long room(void)
{
    struct statfs all;
    return statfs(".", &all) ? -1 : (long)(all.f_bavail * all.f_bsize);
}

// The file has what `fill` made of the seed.
static void is_there(const char *name, int seed)
{
    int file = open(name, O_RDONLY);
    fill(seed);
    check_result(name, SYS(SYS_read, file, found, LEN), LEN);
    check(!memcmp(bytes, found, LEN), name, "has other bytes");
    close(file);
}

static void test_too_much(const char *name, int seed)
{
    struct stat status;
    long before = room();
    int file = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);
    long got = SYS(SYS_fallocate, file, 0, 0, before / 2 * 3);
    // Linux has no such call for ext2.
    check_error("too-much", got == -EOPNOTSUPP ? -ENOSPC : got, ENOSPC);
    check(!fstat(file, &status) && !status.st_size && !status.st_blocks, "nothing-of-it",
          "%ld bytes, %ld blocks", (long)status.st_size, (long)status.st_blocks);
    sync(); // what was freed can be used
    check(room() > before - (1 << 20), "room-is-back", "%ld bytes of %ld", room(), before);
    fill(seed);
    check_result("written", SYS(SYS_write, file, bytes, LEN), LEN);
    check_result("stored", SYS(SYS_fsync, file), 0);
    check(!fstat(file, &status) && status.st_blocks * 512 >= LEN, "room-is-told", "%ld blocks",
          (long)status.st_blocks);
    close(file);
}

// Written to the end of the room, and beyond.
static void test_no_room(void)
{
    int file = open("all", O_RDWR | O_CREAT | O_TRUNC, 0644);
    long written = 0, last;
    fill(9);
    while ((last = SYS(SYS_write, file, bytes, LEN)) > 0)
        written += last;
    check_error("no-room", last, ENOSPC);
    struct stat status;
    check(!fstat(file, &status) && status.st_size == written, "as-long-as-written", "%ld of %ld",
          (long)status.st_size, written);
    int other = open("small", O_RDWR | O_CREAT | O_TRUNC, 0644);
    fill(5);
    last = SYS(SYS_write, other, bytes, LEN);
    check(last == -ENOSPC || (last >= 0 && last < LEN), "no-room-here", "%ld", last);
    check_result("cut", SYS(SYS_ftruncate, file, 0), 0);
    check_result("room-again", SYS(SYS_pwrite64, other, bytes, LEN, 0), LEN);
    check_result("stored-again", SYS(SYS_fsync, other), 0);
    close(other);
    close(file);
    unlink("all");
}

int main(int argc, char **argv)
{
    if (argc < 2 || chdir(argv[1]))
        return 1;
    if (argc > 2) {
        is_there("kept", 3);
        is_there("small", 5);
        return summary();
    }
    if (room() > MOST) {
        printf("too much room: nothing tried\n");
        return summary();
    }
    test_too_much("kept", 3);
    test_no_room();
    is_there("kept", 3);
    is_there("small", 5);
    return summary();
}
