// proc
//
// What it proves: /proc/self/maps shows what the program has mapped, with names; statm and
// meminfo have their fields, and values that can be.

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "sys.h"

static char text[1 << 16];

// Reads a file in parts of `part` bytes.
static long read_all(const char *path, size_t part)
{
    int file = open(path, O_RDONLY);
    if (file < 0)
        return -errno;
    long had = 0, count;
    while (had + part < sizeof text && (count = read(file, text + had, part)) > 0)
        had += count;
    text[had] = 0;
    close(file);
    return had;
}

// The line of the map that holds `address`: its access and the end of its name.
static int is_mapped(uintptr_t address, const char *access, const char *name)
{
    for (char *line = text; line && *line; line = strchr(line, '\n'), line += line != NULL) {
        unsigned long start, end, offset, inode;
        char found[5], device[8], path[100] = "";
        int fields = sscanf(line, "%lx-%lx %4s %lx %7s %lu%*[ ]%99[^\n]", &start, &end, found,
                            &offset, device, &inode, path);
        if (fields < 6 || address < start || address >= end)
            continue;
        size_t len = strlen(path), wanted = strlen(name);
        return !strcmp(found, access) && len >= wanted && !strcmp(path + len - wanted, name);
    }
    return 0;
}

static long field(const char *name)
{
    char *at = strstr(text, name);
    return at ? atol(at + strlen(name)) : -1;
}

int main(void)
{
    uintptr_t end = SYS(SYS_brk, 0);
    SYS(SYS_brk, end + 8192);
    char *apart = mmap(NULL, 8192, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    mprotect(apart, 4096, PROT_NONE);
    long len = read_all("/proc/self/maps", 4096);
    check(len > 200, "maps", "%ld", len);
    check(is_mapped((uintptr_t)main, "r-xp", "/bin/proc"), "maps-code", "not in\n%s", text);
    check(is_mapped((uintptr_t)&len, "rw-p", "[stack]"), "maps-stack", "not in\n%s", text);
    check(is_mapped(end + 4096, "rw-p", "[heap]"), "maps-heap", "not in\n%s", text);
    check(is_mapped((uintptr_t)apart, "---s", ""), "maps-none", "not in\n%s", text);
    check(is_mapped((uintptr_t)apart + 4096, "r--s", ""), "maps-shared", "not in\n%s", text);
    check(!is_mapped(16, "r--p", ""), "maps-null", "in\n%s", text);
    static char before[sizeof text];
    strcpy(before, text);
    check(read_all("/proc/self/maps", 7) == len && !strcmp(before, text), "maps-in-parts", "\n%s", text);

    char path[64];
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        for (;;)
            usleep(100000);
    }
    snprintf(path, sizeof path, "/proc/%d/maps", pid);
    check(read_all(path, 4096) > 200 && is_mapped((uintptr_t)main, "r-xp", "/bin/proc"), "maps-child",
          "\n%s", text);
    kill(pid, 9);
    waitpid(pid, NULL, 0);
    check_result("maps-gone", read_all(path, 4096), -ENOENT);

    long size, resident, shared, code, zero, data;
    read_all("/proc/self/statm", 4096);
    int fields = sscanf(text, "%ld %ld %ld %ld %ld %ld", &size, &resident, &shared, &code, &zero, &data);
    check(fields == 6 && size > resident && resident > 3 && code > 0 && code < size && data > 0 &&
              data < size,
          "statm", "%s", text);

    read_all("/proc/meminfo", 4096);
    long total = field("MemTotal:"), available = field("MemAvailable:"), heap = field("Slab:");
    check(total > 32 << 10 && available > 0 && available < total && heap > 0 && heap < total, "meminfo",
          "\n%s", text);
    check(field("AnonPages:") > 0 && field("KernelStack:") > 0 && field("PageTables:") > 0,
          "meminfo-uses", "\n%s", text);

    struct stat status;
    check(stat("/proc/self/maps", &status) == 0 && S_ISREG(status.st_mode) && status.st_size == 0,
          "stat", "mode %o, size %ld", status.st_mode, status.st_size);
    check_result("enoent", open("/proc/self/nothing", O_RDONLY) < 0 ? errno : 0, ENOENT);
    check_result("enotdir", open("/proc/self/maps", O_RDONLY | O_DIRECTORY) < 0 ? errno : 0, ENOTDIR);
    return summary();
}
