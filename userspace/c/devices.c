// devices
//
// What it proves: null, zero, full, random and urandom read, write, seek, poll and map as on
// Linux, kmsg has what is written to it among the kernel's records, and other minor numbers of their driver are no devices.
//
// Nodes that are not in /dev are made in /tmp; without root's rights there is nothing to be tried.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "sys.h"

#define PAGE 4096

// linux/random.h, which not every C library brings.
#define RNDGETENTCNT _IOR('R', 0x00, int)
#define RNDADDENTROPY _IOW('R', 0x03, int[2])
#define RNDCLEARPOOL _IO('R', 0x06)
#define RNDRESEEDCRNG _IO('R', 0x07)

static unsigned char bytes[3 * PAGE], other[3 * PAGE];

// Opens a device of major number 1.
static int device(const char *name, int minor, int flags)
{
    char path[64];
    struct stat status;
    snprintf(path, sizeof path, "/dev/%s", name);
    if (stat(path, &status)) {
        snprintf(path, sizeof path, "/tmp/device-%d-%s", (int)getpid(), name);
        if (mknod(path, S_IFCHR | 0600, makedev(1, minor)) || stat(path, &status))
            return -errno;
    }
    int file = SYS(SYS_openat, AT_FDCWD, path, flags, 0);
    check(S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, minor) && !status.st_size &&
              !status.st_blocks, name, "mode %o, rdev %lx", status.st_mode, (long)status.st_rdev);
    if (!strncmp(path, "/tmp/", 5))
        unlink(path);
    return file;
}

static int all_are(const unsigned char *at, unsigned long len, unsigned char what)
{
    while (len && at[len - 1] == what)
        len--;
    return !len;
}

static short events(int file)
{
    struct pollfd one = {.fd = file, .events = POLLIN | POLLOUT};
    return poll(&one, 1, 0) < 0 ? -1 : one.revents;
}

static void test_seeking(const char *name, int file)
{
    char text[64];
    snprintf(text, sizeof text, "%s-seek", name);
    check_result(text, SYS(SYS_lseek, file, 1234, SEEK_SET) | SYS(SYS_lseek, file, 5, SEEK_END), 0);
    snprintf(text, sizeof text, "%s-position", name);
    SYS(SYS_read, file, bytes, 10);
    check_result(text, SYS(SYS_lseek, file, 0, SEEK_CUR), 0);
    snprintf(text, sizeof text, "%s-fsync", name);
    check_error(text, SYS(SYS_fsync, file), EINVAL);
    snprintf(text, sizeof text, "%s-length", name);
    check_error(text, SYS(SYS_ftruncate, file, 10), EINVAL);
}

static void test_null(void)
{
    int file = device("null", 3, O_RDWR);
    check_result("null-read", SYS(SYS_read, file, bytes, 100), 0);
    check_result("null-write", SYS(SYS_write, file, bytes, 100), 100);
    check_result("null-write-bad-pointer", SYS(SYS_write, file, 16, 100), 100);
    check_result("null-pwrite", SYS(SYS_pwrite64, file, bytes, 100, 1l << 40), 100);
    check_result("null-poll", events(file), POLLIN | POLLOUT);
    check_error("null-map", SYS(SYS_mmap, 0, PAGE, PROT_READ, MAP_PRIVATE, file, 0), ENODEV);
    check_error("null-ioctl", SYS(SYS_ioctl, file, TCGETS, bytes), ENOTTY);
    test_seeking("null", file);
    close(file);
    file = device("null", 3, O_WRONLY | O_APPEND | O_TRUNC | O_CREAT);
    check_result("null-append", SYS(SYS_write, file, bytes, 100), 100);
    check_error("null-write-only", SYS(SYS_read, file, bytes, 1), EBADF);
    close(file);
}

static void test_zero(void)
{
    int file = device("zero", 5, O_RDWR);
    memset(bytes, 7, sizeof bytes);
    check_result("zero-read", SYS(SYS_read, file, bytes + 1, 2 * PAGE + 1), 2 * PAGE + 1);
    check(all_are(bytes + 1, 2 * PAGE + 1, 0) && *bytes == 7, "zero-bytes", "are not zero");
    check(all_are(bytes + 2 * PAGE + 2, PAGE - 2, 7), "zero-no-more", "more is zero");
    check_result("zero-write", SYS(SYS_write, file, bytes, 100), 100);
    check_result("zero-poll", events(file), POLLIN | POLLOUT);
    check_error("zero-bad-pointer", SYS(SYS_read, file, 16, 100), EFAULT);
    // Two pages, of which the second is not there.
    char *part = mmap(0, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(part + PAGE, PAGE);
    check_result("zero-partly", SYS(SYS_read, file, part + PAGE - 100, 200), 100);
    test_seeking("zero", file);

    for (int shared = 0; shared < 2; shared++) {
        int flags = shared ? MAP_SHARED : MAP_PRIVATE;
        // Linux gives shared memory an end, so its offset is 0 here.
        long at = shared ? 0 : PAGE;
        unsigned char *map = mmap(0, 2 * PAGE, PROT_READ | PROT_WRITE, flags, file, at);
        check(map != MAP_FAILED && all_are(map, 2 * PAGE, 0), "zero-map", "%m");
        if (map == MAP_FAILED)
            continue;
        map[PAGE] = 5;
        unsigned char *again = mmap(0, 2 * PAGE, PROT_READ, flags, file, at);
        check(again != MAP_FAILED && again[PAGE] == 0, "zero-map-own", "it is another's");
        munmap(map, 2 * PAGE);
        munmap(again, 2 * PAGE);
    }
    close(file);
    file = device("zero", 5, O_RDONLY);
    check_error("zero-map-write", SYS(SYS_mmap, 0, PAGE, PROT_WRITE, MAP_SHARED, file, 0), EACCES);
    close(file);
}

static void test_full(void)
{
    int file = device("full", 7, O_RDWR);
    memset(bytes, 7, sizeof bytes);
    check_result("full-read", SYS(SYS_read, file, bytes, sizeof bytes), sizeof bytes);
    check(all_are(bytes, sizeof bytes, 0), "full-bytes", "are not zero");
    check_error("full-write", SYS(SYS_write, file, bytes, 100), ENOSPC);
    check_error("full-pwrite", SYS(SYS_pwrite64, file, bytes, 100, 7), ENOSPC);
    check_result("full-poll", events(file), POLLIN | POLLOUT);
    check_error("full-map", SYS(SYS_mmap, 0, PAGE, PROT_READ, MAP_PRIVATE, file, 0), ENODEV);
    test_seeking("full", file);
    close(file);
}

static void test_random(const char *name, int minor)
{
    char text[64];
    int file = device(name, minor, O_RDWR | O_NONBLOCK);
#define NAMED(what) (snprintf(text, sizeof text, "%s-%s", name, what), text)
    check_result(NAMED("read"), SYS(SYS_read, file, bytes, sizeof bytes), sizeof bytes);
    check_result(NAMED("read-again"), SYS(SYS_read, file, other, sizeof other), sizeof other);
    check(memcmp(bytes, other, sizeof bytes) != 0, NAMED("differ"), "do not");
    int ones = 0;
    for (unsigned at = 0; at < sizeof bytes; at++)
        ones += __builtin_popcount(bytes[at]);
    check(ones > 48000 && ones < 50304, NAMED("bits"), "%d of 98304 bits are set", ones);
    check_result(NAMED("write"), SYS(SYS_write, file, bytes, 1000), 1000);
    check_error(NAMED("read-bad-pointer"), SYS(SYS_read, file, 16, 100), EFAULT);
    check_error(NAMED("write-bad-pointer"), SYS(SYS_write, file, 16, 100), EFAULT);
    // Of a pool that is full random(4) wants no more.
    check_result(NAMED("poll"), events(file), minor == 8 ? POLLIN : POLLIN | POLLOUT);
    int bits = -1;
    check_result(NAMED("count"), SYS(SYS_ioctl, file, RNDGETENTCNT, &bits), 0);
    check_result(NAMED("count-of-bits"), bits, 256);
    check_error(NAMED("count-bad"), SYS(SYS_ioctl, file, RNDGETENTCNT, 16), EFAULT);
    struct {
        int bits, len;
        char bytes[16];
    } more = {8, 16, "not a secret"};
    check_result(NAMED("add"), SYS(SYS_ioctl, file, RNDADDENTROPY, &more), 0);
    more.bits = -1;
    check_error(NAMED("add-less"), SYS(SYS_ioctl, file, RNDADDENTROPY, &more), EINVAL);
    check_result(NAMED("clear"), SYS(SYS_ioctl, file, RNDCLEARPOOL, 0), 0);
    check_result(NAMED("reseed"), SYS(SYS_ioctl, file, RNDRESEEDCRNG, 0), 0);
    check_error(NAMED("ioctl"), SYS(SYS_ioctl, file, TCGETS, bytes), EINVAL);
    check_error(NAMED("map"), SYS(SYS_mmap, 0, PAGE, PROT_READ, MAP_PRIVATE, file, 0), ENODEV);
    test_seeking(name, file);
    close(file);
}

// Looks for a text among the records that are there, and checks how they look.
static int has_record(int file, const char *text)
{
    char record[8192];
    long got, before = -1, number, found = 0;
    while ((got = SYS(SYS_read, file, record, sizeof record - 1)) > 0 || got == -EPIPE) {
        if (got == -EPIPE)
            continue; // some are gone
        record[got] = 0;
        int start = 0;
        int fields = sscanf(record, "%*d,%ld,%*d,%*[^;];%n", &number, &start);
        check(fields == 1 && start && number > before && strchr(record, '\n'), "kmsg-record", "%s",
              record);
        before = number;
        found += strstr(record + start, text) != 0;
    }
    check_error("kmsg-no-more", got, EAGAIN);
    return found;
}

static void test_kmsg(void)
{
    char text[96];
    int file = device("kmsg", 11, O_RDWR | O_NONBLOCK);
    snprintf(text, sizeof text, "<6>devices-%d says something\n", (int)getpid());
    int len = strlen(text);
    check_result("kmsg-write", SYS(SYS_write, file, text, len), len);
    check_error("kmsg-long", SYS(SYS_write, file, bytes, 1100), EINVAL);
    check_error("kmsg-bad-pointer", SYS(SYS_write, file, 16, 100), EFAULT);
    // An error says that some are gone.
    check_result("kmsg-poll", events(file) & ~POLLERR, POLLIN);
    long got;
    while ((got = SYS(SYS_read, file, bytes, 8)) == -EPIPE)
        ;
    check_error("kmsg-no-room", got, EINVAL);
    text[len - 1] = 0;
    check_result("kmsg-says", has_record(file, text + 3), 1);
    check_error("kmsg-map", SYS(SYS_mmap, 0, PAGE, PROT_READ, MAP_PRIVATE, file, 0), ENODEV);
    // Who waits for a record gets it.
    pid_t child = fork();
    if (!child) {
        usleep(200000);
        _exit(SYS(SYS_write, file, "<6>devices: one more\n", 21) != 21);
    }
    struct pollfd one = {.fd = file, .events = POLLIN};
    check_result("kmsg-waits", poll(&one, 1, 20000), 1);
    check(waitpid(child, 0, 0) == child, "kmsg-child", "%m");
    check_result("kmsg-says-more", has_record(file, "devices: one more"), 1);
    // Parts are one record.
    struct iovec parts[2] = {{"<6>devices: in", 14}, {" parts\n", 7}};
    check_result("kmsg-parts", SYS(SYS_writev, file, parts, 2), 21);
    check_result("kmsg-says-parts", has_record(file, "devices: in parts"), 1);
    close(file);
    // Those who wait for a record at one open file can be killed, all of them.
    file = device("kmsg", 11, O_RDWR);
    pid_t readers[3];
    for (int reader = 0; reader < 3; reader++)
        if (!(readers[reader] = fork()))
            for (;;)
                SYS(SYS_read, file, bytes, sizeof bytes);
    usleep(300000);
    for (int reader = 2; reader >= 0; reader--) {
        kill(readers[reader], SIGKILL);
        int tries = 0;
        while (waitpid(readers[reader], 0, WNOHANG) == 0 && ++tries < 500)
            usleep(10000);
        check(tries < 500, "kmsg-killed", "reader %d lives", reader);
    }
    close(file);
    file = device("kmsg", 11, O_WRONLY);
    check_error("kmsg-write-only", SYS(SYS_read, file, bytes, 1000), EBADF);
    check_result("kmsg-empty", SYS(SYS_write, file, "", 0), 0);
    close(file);
}

int main(void)
{
    if (geteuid()) {
        printf("not root: nothing tried\n");
        return summary();
    }
    test_null();
    test_zero();
    test_full();
    test_random("random", 8);
    test_random("urandom", 9);
    test_kmsg();
    return summary();
}
