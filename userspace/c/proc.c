// proc
//
// What it proves: /proc can be gone through, with a directory for each process. maps shows what a
// program has mapped, with names; stat, statm, status and meminfo have their fields, and values
// that can be; cmdline, comm, exe, cwd and fd say what is so. What cannot be is refused as on
// Linux.

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "read_all.h"
#include "sys.h"

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

// What a link says, or where it leads to.
static const char *link_of(const char *path)
{
    static char target[4096];
    ssize_t len = readlink(path, target, sizeof target - 1);
    target[len < 0 ? 0 : len] = 0;
    return target;
}

static void test_identity(int argc, char **argv)
{
    char path[64], expected[4096], own[4096];
    snprintf(path, sizeof path, "%d", getpid());
    check(!strcmp(link_of("/proc/self"), path), "self", "%s", link_of("/proc/self"));

    // The arguments, a zero byte behind each.
    size_t len = 0;
    for (int i = 0; i < argc; i++)
        len += snprintf(expected + len, sizeof expected - len, "%s", argv[i]) + 1;
    check(read_all("/proc/self/cmdline", 100) == (long)len && !memcmp(text, expected, len), "cmdline",
          "%s", text);
    const char *name = strrchr((const char *)getauxval(AT_EXECFN), '/') + 1;
    snprintf(expected, sizeof expected, "%.15s\n", name);
    read_all("/proc/self/comm", 100);
    check(!strcmp(text, expected), "comm", "%s", text);
    check(!strcmp(link_of("/proc/self/exe"), (const char *)getauxval(AT_EXECFN)), "exe", "%s",
          link_of("/proc/self/exe"));
    check(getcwd(own, sizeof own) && !strcmp(link_of("/proc/self/cwd"), own), "cwd", "%s",
          link_of("/proc/self/cwd"));
    check(!strcmp(link_of("/proc/self/root"), "/"), "root", "%s", link_of("/proc/self/root"));

    // They lead to the files, not only to words.
    struct stat here, there;
    check(!stat(".", &here) && !stat("/proc/self/cwd", &there) && here.st_ino == there.st_ino &&
              here.st_dev == there.st_dev,
          "cwd-leads", "%m");
    char magic[4];
    int file = open("/proc/self/exe", O_RDONLY);
    check(file >= 0 && read(file, magic, 4) == 4 && !memcmp(magic, "\177ELF", 4), "exe-leads", "%m");
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    check(!strcmp(link_of(path), link_of("/proc/self/exe")), "fd", "%s", link_of(path));
    close(file);
    check(lstat(path, &here) && errno == ENOENT, "fd-closed", "%m");
}

static void test_numbers(void)
{
    int pid, parent, group, session, terminal, foreground;
    char state, *after;
    read_all("/proc/self/stat", 4096);
    check((after = strrchr(text, ')')) && sscanf(text, "%d (", &pid) == 1 && pid == getpid(), "stat",
          "%s", text);
    int fields = after ? sscanf(after + 2, "%c %d %d %d %d %d", &state, &parent, &group, &session,
                                &terminal, &foreground)
                       : 0;
    check(fields == 6 && state == 'R' && parent == getppid(), "stat-fields", "%s", text);
    int count = 2;
    for (char *at = after; at && (at = strchr(at, ' ')); at++)
        count++;
    check(count == 52, "stat-count", "%d in %s", count, text);

    check(read_all("/proc/self/status", 100) > 200, "status", "%s", text);
    check(field("\nPid:") == getpid() && field("\nPPid:") == getppid(), "status-pid", "%s", text);
    check(strstr(text, "\nState:\tR (running)\n") != NULL, "status-state", "%s", text);
    check(field("\nVmRSS:") > 0 && field("\nVmSize:") > field("\nVmRSS:"), "status-memory", "%s",
          text);

    double up, idle;
    read_all("/proc/uptime", 100);
    check(sscanf(text, "%lf %lf", &up, &idle) == 2 && up > 0, "uptime", "%s", text);
    check(read_all("/proc/filesystems", 100) > 0 && strstr(text, "nodev\tproc\n"), "filesystems",
          "%s", text);
    check(read_all("/proc/self/mounts", 4096) > 0 && strstr(text, " /proc proc "), "mounts", "%s",
          text);
}

// What maps says of the program's file is what stat says.
static void test_maps_file(void)
{
    struct stat program;
    char expected[64], *line = text;
    check(!stat("/proc/self/exe", &program), "maps-stat", "%m");
    snprintf(expected, sizeof expected, " %02x:%02x %lu ", major(program.st_dev), minor(program.st_dev),
             (unsigned long)program.st_ino);
    read_all("/proc/self/maps", 4096);
    char *end = strchr(line, '\n');
    if (end)
        *end = 0;
    check(strstr(line, expected) != NULL, "maps-file", "no '%s' in %s", expected, line);
    check(strlen(line) > 73 && line[72] == ' ' && line[73] == '/', "maps-column", "%s", line);
}

static void test_thread(void)
{
    char path[64];
    snprintf(path, sizeof path, "%d/task/%ld", getpid(), SYS(SYS_gettid));
    check(!strcmp(link_of("/proc/thread-self"), path), "thread-self", "%s", link_of("/proc/thread-self"));
    static char own[4096];
    read_all("/proc/self/comm", 100);
    strcpy(own, text);
    read_all("/proc/thread-self/comm", 100);
    check(!strcmp(own, text), "thread-comm", "%s", text);
    read_all("/proc/thread-self/status", 4096);
    check(field("\nPid:") == SYS(SYS_gettid) && field("\nTgid:") == getpid(), "thread-status", "%s",
          text);
    DIR *directory = opendir("/proc/self/task");
    int count = 0;
    struct dirent *entry;
    while (directory && (entry = readdir(directory)))
        count += entry->d_name[0] != '.' && atol(entry->d_name) == SYS(SYS_gettid);
    check(count == 1, "threads", "%d", count);
    closedir(directory);
    snprintf(path, sizeof path, "/proc/self/task/%d/comm", getpid() + 1);
    check_error("thread-of-others", SYS(SYS_openat, AT_FDCWD, path, O_RDONLY), ENOENT);
    check_error("thread-has-none", SYS(SYS_openat, AT_FDCWD, "/proc/thread-self/task", O_RDONLY), ENOENT);
}

static void test_open_files(void)
{
    char path[64], expected[64];
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    struct stat status;
    check(lseek(file, 1234, SEEK_SET) == 1234 && !fstat(file, &status), "seek", "%m");
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", file);
    long len = read_all(path, 4096);
    check(len > 0 && field("pos:\t") == 1234 && strstr(text, "\nflags:\t0") && field("mnt_id:\t") >= 0,
          "fdinfo", "%ld %s", len, text);
    snprintf(expected, sizeof expected, "\nino:\t%lu\n", (unsigned long)status.st_ino);
    check(strstr(text, expected) != NULL, "fdinfo-inode", "%s", text);
    close(file);
    check_error("fdinfo-closed", SYS(SYS_openat, AT_FDCWD, path, O_RDONLY), ENOENT);
    // About itself, while it is read.
    file = open("/proc/self/fdinfo/0", O_RDONLY);
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", file);
    check(read_all(path, 4096) > 0, "fdinfo-self", "%m");
    close(file);
    check_error("fd-name", SYS(SYS_openat, AT_FDCWD, "/proc/self/fd/00", O_RDONLY), ENOENT);
}

static void test_environment(char **variables)
{
    static char expected[sizeof text];
    size_t len = 0;
    for (; *variables && len + strlen(*variables) + 1 < sizeof expected; variables++)
        len += sprintf(expected + len, "%s", *variables) + 1;
    long had = read_all("/proc/self/environ", 4096);
    check(had == (long)len && !memcmp(text, expected, len), "environ", "%ld of %zu", had, len);
    struct stat status;
    check(!stat("/proc/self/environ", &status) && (status.st_mode & 0777) == 0400, "environ-mode", "%o",
          status.st_mode);
    check(read_all("/proc/self/limits", 4096) > 0 &&
              !strncmp(text, "Limit                     Soft Limit           Hard Limit           Units     \n", 79),
          "limits", "%s", text);
    char *at = strstr(text, "\nMax open files ");
    check(at && atol(at + 26) == sysconf(_SC_OPEN_MAX), "limits-files", "%s", text);
    check(read_all("/proc/self/oom_score", 100) > 0 && atol(text) > 0 && atol(text) < 2000, "oom_score",
          "%s", text);
}

// Who has a directory or a file of a process open that has gone is told so.
static void test_gone(void)
{
    char path[64];
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        for (;;)
            usleep(100000);
    snprintf(path, sizeof path, "/proc/%d", pid);
    int directory = open(path, O_RDONLY | O_DIRECTORY);
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    int status = open(path, O_RDONLY);
    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    int files = open(path, O_RDONLY | O_DIRECTORY);
    check(directory >= 0 && status >= 0 && files >= 0, "gone-open", "%m");
    kill(pid, SIGKILL);
    // It ends, and nobody asks how.
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    for (int i = 0; i < 500 && read_all(path, 4096) > 0 && !strstr(text, "\nState:\tZ"); i++)
        usleep(10000);
    check(pread(status, text, sizeof text - 1, 0) > 0 && strstr(text, "\nState:\tZ (zombie)\n"), "zombie", "%s",
          text);
    snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
    check(read_all(path, 100) == 0, "zombie-cmdline", "%s", text);
    snprintf(path, sizeof path, "/proc/%d/exe", pid);
    check_error("zombie-exe", readlink(path, text, 10) < 0 ? -errno : 0, ENOENT);
    waitpid(pid, NULL, 0);
    lseek(status, 0, SEEK_SET);
    check_error("gone-text", SYS(SYS_read, status, text, 10), ESRCH);
    check_error("gone-below", SYS(SYS_openat, directory, "status", O_RDONLY), ESRCH);
    check_error("gone-no-name", SYS(SYS_openat, directory, "nothing", O_RDONLY), ESRCH);
    check_error("gone-descriptor", SYS(SYS_openat, files, "0", O_RDONLY), ENOENT);
    check_error("gone-list", SYS(SYS_getdents64, directory, text, sizeof text), ENOENT);
    check_error("gone-files", SYS(SYS_getdents64, files, text, sizeof text), ENOENT);
    close(directory), close(status), close(files);
}

static void test_listing(void)
{
    char own[20];
    snprintf(own, sizeof own, "%d", getpid());
    DIR *directory = opendir("/proc");
    int found = 0, last = 0, rising = 1;
    struct dirent *entry;
    while (directory && (entry = readdir(directory))) {
        int number = atoi(entry->d_name);
        found += !strcmp(entry->d_name, own) && entry->d_type == DT_DIR;
        found += !strcmp(entry->d_name, "self") && entry->d_type == DT_LNK;
        found += !strcmp(entry->d_name, "meminfo") && entry->d_type == DT_REG;
        rising &= number == 0 || number > last;
        last = number ? number : last;
    }
    check(found == 3 && rising, "list", "%d found", found);
    closedir(directory);
    check(!chdir("/proc/self/fd/../.."), "chdir", "%m");
    char here[64];
    check(getcwd(here, sizeof here) && !strcmp(here, "/proc"), "getcwd", "%s", here);
    check(!chdir("/"), "chdir-back", "%m");
}

static void test_refusals(void)
{
    check_error("create", SYS(SYS_openat, AT_FDCWD, "/proc/new", O_WRONLY | O_CREAT, 0600), ENOENT);
    check_error("create-below", SYS(SYS_openat, AT_FDCWD, "/proc/self/new", O_CREAT, 0600), ENOENT);
    check_error("create-self", SYS(SYS_openat, AT_FDCWD, "/proc/self", O_CREAT, 0600), EISDIR);
    check_error("slash", SYS(SYS_openat, AT_FDCWD, "/proc/meminfo/", O_RDONLY), ENOTDIR);
    for (const char *name = "00\0+1\0-1\00x1\01 \0"; *name; name += strlen(name) + 1) {
        char path[32];
        snprintf(path, sizeof path, "/proc/%s", name);
        check_error(path, SYS(SYS_openat, AT_FDCWD, path, O_RDONLY), ENOENT);
    }
    if (geteuid())
        return;
    // Root may open it for writing, but it takes nothing.
    int file = open("/proc/meminfo", O_RDWR | O_TRUNC);
    check_error("write", SYS(SYS_write, file, "x", 1), EIO);
    close(file);
}

int main(int argc, char **argv, char **variables)
{
    test_identity(argc, argv);
    test_numbers();
    test_refusals();
    test_maps_file();
    test_thread();
    test_open_files();
    test_environment(variables);
    test_gone();
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
    test_listing();
    check_result("enotdir", open("/proc/self/maps", O_RDONLY | O_DIRECTORY) < 0 ? errno : 0, ENOTDIR);
    return summary();
}
