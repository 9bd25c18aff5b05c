// disk DEVICE
//
// What it proves: a disk is a file. Its bytes are read, written and mapped, at any offset; its size
// and its units are what ioctl(2) says; nothing goes beyond its end; and partitions get their
// nodes when they are looked up again, and lose them.
// All that is on the disk, which has at least 4 MiB, is lost. At the end it holds `disk` as text at
// 1 MiB and zeros elsewhere.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

// linux/fs.h, which not every C library brings.
#ifndef BLKDISCARD
#define BLKDISCARD _IO(0x12, 119)
#define BLKPBSZGET _IO(0x12, 123)
#define BLKZEROOUT _IO(0x12, 127)
#endif

#define RESULT(call) ((call) < 0 ? -errno : 0)
#define MIB (1L << 20)
enum { MANY = 100000, PART_START = 2048, PART_SECTORS = 4096 };

static char bytes[MANY], other[MANY];

static int all(const char *from, long count, int value)
{
    for (long i = 0; i < count; i++)
        if (from[i] != (char)value)
            return 0;
    return 1;
}

static void fill(void)
{
    for (int i = 0; i < MANY; i++)
        bytes[i] = (char)(i * 31 + i / 251);
}

static uint64_t test_size(int disk)
{
    struct stat status = {0};
    uint64_t size = 0;
    unsigned long sectors = 0;
    unsigned physical = 0;
    int logical = 0, read_only = 7, block = 0;
    check(!fstat(disk, &status) && S_ISBLK(status.st_mode), "is-block", "%o", status.st_mode);
    check_result("size", RESULT(ioctl(disk, BLKGETSIZE64, &size)), 0);
    check_result("sectors", RESULT(ioctl(disk, BLKGETSIZE, &sectors)), 0);
    check(size >= 4 * MIB && sectors * 512 == size, "sizes", "%lu, %lu", size, sectors);
    check_result("seek-end", lseek(disk, 0, SEEK_END), (long)size);
    check_result("logical", RESULT(ioctl(disk, BLKSSZGET, &logical)), 0);
    check_result("physical", RESULT(ioctl(disk, BLKPBSZGET, &physical)), 0);
    check(logical >= 512 && physical >= (unsigned)logical, "units", "%d %u", logical, physical);
    check_result("block", RESULT(ioctl(disk, BLKBSZGET, &block)), 0);
    check(block >= 512 && block <= 65536, "block-size", "%d", block);
    check_result("read-only", RESULT(ioctl(disk, BLKROGET, &read_only)), 0);
    check_result("may-be-written", read_only, 0);
    check_result("unknown", RESULT(ioctl(disk, 0x12fe, &size)), -ENOTTY);
    check_result("bad-address", RESULT(ioctl(disk, BLKGETSIZE64, 8)), -EFAULT);
    check_result("truncate", RESULT(ftruncate(disk, 0)), -EINVAL);
    return size;
}

static void test_bytes(const char *path, int disk, uint64_t size)
{
    fill();
    check_result("write", pwrite(disk, bytes, MANY, 3001), MANY);
    int again = open(path, O_RDONLY);
    check_result("read", pread(again, other, MANY, 3001), MANY);
    check(!memcmp(bytes, other, MANY), "same", "other bytes");
    check_result("read-only-open", RESULT(pwrite(again, bytes, 1, 0)), -EBADF);
    check_result("fsync", RESULT(fsync(disk)), 0);
    check_result("flush-buffers", RESULT(ioctl(disk, BLKFLSBUF, 0)), 0);
    memset(other, 0, MANY);
    check_result("read-again", pread(again, other, MANY, 3001), MANY);
    check(!memcmp(bytes, other, MANY), "same-again", "other bytes");
    close(again);

    check_result("last", pwrite(disk, bytes, 100, (long)size - 10), 10);
    check_result("behind-end", RESULT(pwrite(disk, bytes, 1, (long)size)), -ENOSPC);
    check_result("far-behind", RESULT(pwrite(disk, bytes, 1, (long)size + 123456789)), -ENOSPC);
    check_result("nothing-behind", pread(disk, other, 10, (long)size), 0);
    check_result("last-read", pread(disk, other, 100, (long)size - 10), 10);
    check(!memcmp(bytes, other, 10), "last-same", "other bytes");

    char *map = mmap(0, MIB, PROT_READ | PROT_WRITE, MAP_SHARED, disk, 0);
    check(map != MAP_FAILED && !memcmp(map + 3001, bytes, MANY), "mapped", "other bytes");
    map[5000] = 'x';
    map[MIB - 1] = 'y';
    check_result("msync", RESULT(msync(map, MIB, MS_SYNC)), 0);
    check(pread(disk, other, 1, MIB - 1) == 1 && *other == 'y', "map-written", "%d", *other);
    munmap(map, MIB);
}

static void test_ranges(int disk)
{
    uint64_t range[2] = {4096, 8192};
    check_result("zero-out", RESULT(ioctl(disk, BLKZEROOUT, range)), 0);
    check_result("zeros-read", pread(disk, other, 12 << 10, 3500), 12 << 10);
    check(all(other + 596, 8192, 0), "zeros", "bytes are left");
    check(!memcmp(other, bytes + 499, 596), "zeros-before", "too many");
    check(!memcmp(other + 596 + 8192, bytes + 499 + 596 + 8192, 3500), "zeros-behind", "too many");
    long discarded = RESULT(ioctl(disk, BLKDISCARD, range));
    check(!discarded || discarded == -EOPNOTSUPP, "discard", "%ld", discarded);
    range[0] = 4097;
    check_result("zero-odd", RESULT(ioctl(disk, BLKZEROOUT, range)), -EINVAL);
    range[0] = -4096UL;
    check_result("zero-wraps", RESULT(ioctl(disk, BLKZEROOUT, range)), -EINVAL);
    check_result("zero-nowhere", RESULT(ioctl(disk, BLKZEROOUT, 8)), -EFAULT);
}

// Writes a table with one partition, or with none, and has it looked up.
static long partition(const char *path, int is_there)
{
    unsigned char table[512] = {[510] = 0x55, [511] = 0xaa};
    uint32_t entry[4] = {0, 0x83, PART_START, PART_SECTORS};
    if (is_there)
        memcpy(table + 446, entry, sizeof entry);
    int disk = open(path, O_RDWR);
    long result = pwrite(disk, table, sizeof table, 0) == sizeof table ? 0 : -errno;
    if (!result)
        result = RESULT(ioctl(disk, BLKRRPART, 0));
    close(disk);
    return result;
}

static void test_partitions(const char *path)
{
    char name[64];
    size_t last = strlen(path) - 1;
    int ends_in_digit = path[last] >= '0' && path[last] <= '9';
    snprintf(name, sizeof name, ends_in_digit ? "%sp1" : "%s1", path);
    check_result("no-partition", RESULT(open(name, O_RDWR)), -ENOENT);
    check_result("partitioned", partition(path, 1), 0);
    int part = open(name, O_RDWR);
    check(part >= 0, "partition", "%d", -errno);
    uint64_t size = 0;
    ioctl(part, BLKGETSIZE64, &size);
    check_result("partition-size", (long)size, PART_SECTORS * 512L);
    check_result("partition-rescan", RESULT(ioctl(part, BLKRRPART, 0)), -EINVAL);
    check_result("partition-write", pwrite(part, "first", 5, 0), 5);
    check_result("partition-end", RESULT(pwrite(part, "x", 1, (long)size)), -ENOSPC);
    close(part);
    int disk = open(path, O_RDONLY);
    check_result("whole-read", pread(disk, other, 5, PART_START * 512L), 5);
    check(!memcmp(other, "first", 5), "whole-same", "other bytes");
    close(disk);
    check_result("unpartitioned", partition(path, 0), 0);
    check_result("partition-gone", RESULT(open(name, O_RDWR)), -ENOENT);
}

int main(int count, char **arguments)
{
    if (count != 2) {
        printf("usage: disk DEVICE\n");
        return 2;
    }
    const char *path = arguments[1];
    int disk = open(path, O_RDWR);
    if (disk < 0) {
        perror(path);
        return 2;
    }
    uint64_t size = test_size(disk);
    test_bytes(path, disk, size);
    test_ranges(disk);
    close(disk);
    test_partitions(path);

    disk = open(path, O_RDWR);
    memset(bytes, 0, MANY);
    long written = 0;
    while ((uint64_t)written < size) {
        long part = pwrite(disk, bytes, MANY, written);
        if (part <= 0)
            break;
        written += part;
    }
    check_result("cleared", written, (long)size);
    check_result("left", pwrite(disk, "disk", 4, MIB), 4);
    close(disk); // which stores it
    return summary();
}
