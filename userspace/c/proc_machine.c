// proc_machine
//
// What it proves: what /proc tells of the machine and of the kernel has the fields that programs
// read (ps, top, free, uptime, mount of busybox and procps), with values that can be: times that
// rise and add up, the CPUs there are, names that uname(2) gives, too. What cannot be set is
// refused as on Linux.

#define _GNU_SOURCE
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>

#include "check.h"
#include "read_all.h"
#include "sys.h"

static long cpus;

// The ticks of the line that begins with `name`, all added up, and by kind.
static long ticks_of(const char *name, long *user, long *system, long *idle)
{
    long all[10] = {0}, sum = 0;
    char *at = strstr(text, name);
    int count = at ? sscanf(at + strlen(name), "%ld %ld %ld %ld %ld %ld %ld %ld %ld %ld", all,
                            all + 1, all + 2, all + 3, all + 4, all + 5, all + 6, all + 7, all + 8,
                            all + 9)
                   : 0;
    for (int i = 0; i < count; i++)
        sum += all[i];
    *user = all[0] + all[1];
    *system = all[2];
    *idle = all[3];
    return count == 10 ? sum : -1;
}

// Works for so long on a CPU, however long that takes.
static void burn(double seconds)
{
    struct timespec start, now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
    do {
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    } while (now.tv_sec - start.tv_sec + (now.tv_nsec - start.tv_nsec) / 1e9 < seconds);
}

static void test_stat(void)
{
    long user, system, idle, later, user_later, system_later, idle_later;
    read_all("/proc/stat", 4096);
    long before = ticks_of("cpu  ", &user, &system, &idle), switches = field("\nctxt ");
    long interrupts = field("\nintr "), made = field("\nprocesses ");
    check(before > 0 && !strncmp(text, "cpu  ", 5), "stat", "%ld in\n%s", before, text);
    int lines = 0;
    for (char *at = text; (at = strstr(at, "\ncpu")); at++)
        lines++;
    check(lines == cpus, "stat-cpus", "%d lines, %ld cpus", lines, cpus);
    time_t now = time(NULL);
    check(field("\nbtime ") > 0 && field("\nbtime ") <= now, "stat-btime", "%ld at %ld",
          field("\nbtime "), (long)now);
    check(field("\nprocs_running ") >= 1 && field("\nprocs_blocked ") >= 0, "stat-running", "\n%s",
          text);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    waitpid(child, NULL, 0);
    burn(0.3);
    read_all("/proc/stat", 4096);
    later = ticks_of("cpu  ", &user_later, &system_later, &idle_later);
    check(later >= before + 25 && user_later >= user && system_later >= system && idle_later >= idle,
          "stat-time", "%ld, then %ld", before, later);
    // Somebody was busy for 0.3 s, on one of the CPUs.
    check(user_later + system_later >= user + system + 25, "stat-busy", "%ld+%ld, then %ld+%ld", user,
          system, user_later, system_later);
    check(field("\nctxt ") > switches && field("\nintr ") > interrupts && field("\nprocesses ") > made,
          "stat-counts", "\n%s", text);
}

static void test_own_times(void)
{
    unsigned long user, system;
    read_all("/proc/self/stat", 4096);
    char *after = strrchr(text, ')');
    int fields = after ? sscanf(after + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                                &user, &system)
                       : 0;
    check(fields == 2 && user + system >= 25, "own-times", "%d: %lu and %lu", fields, user, system);
    read_all("/proc/self/status", 4096);
    check(field("voluntary_ctxt_switches:\t") >= 0, "own-switches", "\n%s", text);
}

static void test_load(void)
{
    double one, five, fifteen;
    int running, all, last;
    read_all("/proc/loadavg", 100);
    int fields = sscanf(text, "%lf %lf %lf %d/%d %d\n", &one, &five, &fifteen, &running, &all, &last);
    check(fields == 6 && one >= 0 && one < 10000 && running >= 1 && running <= all && last > 0,
          "loadavg", "%s", text);
    struct sysinfo info;
    check(!sysinfo(&info), "sysinfo", "%m");
    check(info.uptime > 0 && info.procs > 0 && info.mem_unit > 0, "sysinfo-values", "up %ld, %d tasks",
          info.uptime, info.procs);
    check(info.loads[0] / 65536.0 >= one - 1 && info.loads[0] / 65536.0 <= one + 1, "sysinfo-load",
          "%lu, not %f", info.loads[0], one);
    read_all("/proc/meminfo", 4096);
    unsigned long long total = (unsigned long long)info.totalram * info.mem_unit / 1024;
    check((long)total == field("MemTotal:"), "sysinfo-memory", "%llu, not %ld", total,
          field("MemTotal:"));
    double up, idle;
    read_all("/proc/uptime", 100);
    check(sscanf(text, "%lf %lf", &up, &idle) == 2 && up >= (long)info.uptime - 2 && up < (long)info.uptime + 60 &&
              idle >= 0 && idle <= (up + 1) * cpus,
          "uptime", "%s at %ld", text, info.uptime);
}

static void test_memory(void)
{
    read_all("/proc/meminfo", 4096);
    long total = field("MemTotal:");
    static const char *names[] = {"MemFree:", "MemAvailable:", "Buffers:",   "Cached:",
                                  "Shmem:",   "Dirty:",        "Writeback:", "SwapCached:",
                                  "Slab:",    "SUnreclaim:"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        check(field(names[i]) >= 0 && field(names[i]) <= total, names[i], "%ld of %ld",
              field(names[i]), total);
    check(field("MemFree:") > 0 && field("SwapTotal:") >= field("SwapFree:"), "meminfo", "\n%s", text);
    check(read_all("/proc/vmstat", 4096) > 0 && field("nr_free_pages ") > 0 &&
              field("\nnr_dirty ") >= 0 && field("\npgpgin ") >= 0,
          "vmstat", "\n%s", text);
    check(read_all("/proc/swaps", 100) > 0 && !strncmp(text, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n", 39),
          "swaps", "%s", text);
}

static void test_cpus(void)
{
    long len = read_all("/proc/cpuinfo", 4096);
    int processors = 0;
    for (char *at = text; (at = strstr(at, "processor\t: ")); at++)
        processors++;
    check(processors == cpus && len > 0 && text[len - 1] == '\n', "cpuinfo", "%d of %ld", processors,
          cpus);
    char vendor[20] = "";
    char *at = strstr(text, "vendor_id\t: ");
    check(at && sscanf(at, "vendor_id\t: %19s", vendor) == 1 && strlen(vendor) == 12, "cpuinfo-vendor",
          "'%s'", vendor);
    at = strstr(text, "cpu MHz\t\t: ");
    check(at && atof(at + 11) > 1, "cpuinfo-rate", "\n%s", text);
    at = strstr(text, "flags\t\t: ");
    char *end = at ? strchr(at, '\n') : NULL;
    if (end)
        *end = 0;
    check(at && strstr(at, " fpu ") && strstr(at, " sse2 ") && strstr(at, " lm "), "cpuinfo-flags",
          "%s", at);
}

static void test_mounts(void)
{
    struct stat link;
    char target[64] = "";
    check(!lstat("/proc/mounts", &link) && S_ISLNK(link.st_mode) &&
              readlink("/proc/mounts", target, 63) == 11 && !strcmp(target, "self/mounts"),
          "mounts", "%s", target);
    check(read_all("/proc/mounts", 4096) > 0 && strstr(text, " /proc proc "), "mounts-text", "%s", text);
    read_all("/proc/self/mountinfo", 4096);
    int number = 0, parent = 0, major = -1, minor = -1;
    char *at = strstr(text, " / /proc ");
    while (at && at > text && at[-1] != '\n')
        at--;
    check(at && sscanf(at, "%d %d %d:%d / /proc r", &number, &parent, &major, &minor) == 4 &&
              number > 0 && parent > 0 && number != parent && major == 0 && minor > 0 &&
              strstr(at, " - proc "),
          "mountinfo", "\n%s", text);
    struct stat proc;
    check(!stat("/proc", &proc) && proc.st_dev == (unsigned long)(minor & 0xff), "mountinfo-device",
          "%lx", (long)proc.st_dev);
}

static void test_tables(void)
{
    check(read_all("/proc/partitions", 4096) > 0 && !strncmp(text, "major minor  #blocks  name\n\n", 28),
          "partitions", "%s", text);
    check(read_all("/proc/diskstats", 4096) >= 0, "diskstats", "%m");
    check(read_all("/proc/interrupts", 4096) > 0 && strstr(text, "CPU0"), "interrupts", "%s", text);
    check(read_all("/proc/cmdline", 100) > 0 && strchr(text, '\n'), "cmdline", "%s", text);
    struct utsname name;
    uname(&name);
    char expected[300];
    snprintf(expected, sizeof expected, "%s version %s (", name.sysname, name.release);
    check(read_all("/proc/version", 4096) > 0 && !strncmp(text, expected, strlen(expected)), "version",
          "%s", text);
}

static void test_names(void)
{
    struct utsname name;
    uname(&name);
    char expected[80];
    struct {
        const char *path, *value;
    } names[] = {{"ostype", name.sysname},        {"osrelease", name.release},
                 {"version", name.version},       {"hostname", name.nodename},
                 {"domainname", name.domainname}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[64];
        snprintf(path, sizeof path, "/proc/sys/kernel/%s", names[i].path);
        snprintf(expected, sizeof expected, "%s\n", names[i].value);
        read_all(path, 100);
        check(!strcmp(text, expected), names[i].path, "%s", text);
    }
    char id[64], again[64];
    read_all("/proc/sys/kernel/random/boot_id", 100);
    snprintf(id, sizeof id, "%.60s", text);
    read_all("/proc/sys/kernel/random/boot_id", 100);
    check(strlen(id) == 37 && id[14] == '4' && !strcmp(text, id), "boot_id", "%s", id);
    read_all("/proc/sys/kernel/random/uuid", 100);
    snprintf(again, sizeof again, "%.60s", text);
    read_all("/proc/sys/kernel/random/uuid", 7);
    check(strlen(again) == 37 && strlen(text) == 37 && strcmp(text, again), "uuid", "%s%s", again, text);
    read_all("/proc/sys/kernel/random/entropy_avail", 100);
    check(atol(text) > 0, "entropy_avail", "%s", text);
    read_all("/proc/sys/kernel/pid_max", 100);
    check(atol(text) >= getpid(), "pid_max", "%s", text);
}

// Writes to a file; the result, or -errno.
static long write_to(const char *path, const char *what)
{
    int file = open(path, O_WRONLY);
    if (file < 0)
        return -errno;
    long result = write(file, what, strlen(what));
    if (result < 0)
        result = -errno;
    close(file);
    return result;
}

static void test_settings(void)
{
    read_all("/proc/sys/vm/dirty_ratio", 100);
    long ratio = atol(text);
    check(ratio > 0 && ratio <= 100, "dirty_ratio", "%s", text);
    struct stat status;
    check(!stat("/proc/sys/vm/drop_caches", &status) && (status.st_mode & 0777) == 0200, "drop_caches",
          "%o", status.st_mode);
    read_all("/proc/sys/vm/overcommit_memory", 100);
    check(text[0] >= '0' && text[0] <= '2' && text[1] == '\n', "overcommit_memory", "%s", text);
    // Not to change the machine that this runs on.
    check_error("sethostname-long", SYS(SYS_sethostname, "x", 65), EINVAL);
    check_error("sethostname-negative", SYS(SYS_sethostname, "x", -1), EINVAL);
    check_error("setdomainname-bad", SYS(SYS_setdomainname, 16, 3), EFAULT);
    if (geteuid())
        return;
    check_error("drop_caches-word", write_to("/proc/sys/vm/drop_caches", "x"), EINVAL);
    check_error("dirty_ratio-101", write_to("/proc/sys/vm/dirty_ratio", "101"), EINVAL);
    char same[32];
    snprintf(same, sizeof same, "%ld\n", ratio);
    check_result("dirty_ratio-same", write_to("/proc/sys/vm/dirty_ratio", same), strlen(same));
}

int main(void)
{
    cpus = sysconf(_SC_NPROCESSORS_ONLN);
    test_stat();
    test_own_times();
    test_load();
    test_memory();
    test_cpus();
    test_mounts();
    test_tables();
    test_names();
    test_settings();
    return summary();
}
