// cpus: which CPUs a process may use, and how it shares them.
//
// What it proves: the mask of sched_setaffinity is kept, moves the caller at once, and holds
// over sleeps; getcpu and rseq's word tell the truth; registers and memory are the same on
// every CPU; priorities and policies are kept as they were given. `cpus N`: also that there
// are N CPUs.

#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include "check.h"
#include "sys.h"

enum { BYTES = 128, WORDS = BYTES / 8, NO_PID = 0x3ffffff };

static uint64_t all[WORDS];

// struct rseq: the kernel keeps `cpu` true. This program's libc has not registered one.
static struct {
    uint32_t cpu_start, cpu;
    uint64_t section;
    uint32_t rest[4];
} rseq __attribute__((aligned(32)));

static int has(const uint64_t *set, int cpu)
{
    return set[cpu / 64] >> (cpu % 64) & 1;
}

static long get_set(uint64_t *set)
{
    memset(set, 0, BYTES);
    return SYS(SYS_sched_getaffinity, 0, BYTES, set);
}

static long confine(int cpu)
{
    uint64_t set[WORDS] = {0};
    set[cpu / 64] |= 1ul << (cpu % 64);
    return SYS(SYS_sched_setaffinity, 0, BYTES, set);
}

static int here(void)
{
    unsigned cpu = ~0u, node = ~0u;
    long result = SYS(SYS_getcpu, &cpu, &node, 0);
    return result || node > 63 ? -1 : (int)cpu;
}

static int told(int cpu)
{
    __asm__ volatile("" ::: "memory");
    return (int)rseq.cpu == cpu && (int)rseq.cpu_start == cpu;
}

// Goes to every CPU in turn, a few times, with values in registers and on fresh pages.
static void test_moves(void)
{
    int cpus = 0, stayed = 1, kept = 1, masks = 1, words = 1;
    check_result("cpus-rseq", SYS(SYS_rseq, &rseq, sizeof rseq, 0, 0x53053053), 0);
    uint64_t set[WORDS];
    double sum = 0.0;
    for (int round = 0; round < 5; round++)
        for (int cpu = 0; cpu < BYTES * 8; cpu++) {
            if (!has(all, cpu))
                continue;
            cpus += round == 0;
            volatile double before = round + cpu * 0.5;
            char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            page[0] = page[4096] = (char)cpu;
            stayed &= confine(cpu) == 0;
            words &= told(cpu); // moved within the call, without a trap since
            stayed &= here() == cpu;
            masks &= get_set(set) > 0 && has(set, cpu);
            for (int other = 0; other < BYTES * 8; other++)
                masks &= other == cpu || !has(set, other);
            kept &= page[0] == (char)cpu && page[4096] == (char)cpu;
            page[0]++;
            SYS(SYS_sched_yield);
            stayed &= here() == cpu;
            struct timespec moment = {0, 200000};
            SYS(SYS_nanosleep, &moment, NULL);
            words &= told(cpu);
            stayed &= here() == cpu;
            kept &= page[0] == (char)(cpu + 1) && before == round + cpu * 0.5;
            kept &= munmap(page, 8192) == 0;
            sum += before;
        }
    check(stayed, "cpus-stays-where-confined", "was elsewhere");
    check(masks, "cpus-mask-is-kept", "another mask");
    check(words, "cpus-rseq-tells-the-cpu", "the CPU before");
    check_result("cpus-rseq-ends", SYS(SYS_rseq, &rseq, sizeof rseq, 1, 0x53053053), 0);
    check(kept && sum > 0, "cpus-state-moves-along", "lost, sum %f", sum);
    check_result("cpus-free-again", SYS(SYS_sched_setaffinity, 0, BYTES, all), 0);
    get_set(set);
    check(!memcmp(set, all, BYTES), "cpus-whole-mask-again", "%lx", (unsigned long)set[0]);
    printf("%d CPUs\n", cpus);
}

static void test_masks(void)
{
    uint64_t set[WORDS] = {0};
    check_error("setaffinity-empty", SYS(SYS_sched_setaffinity, 0, BYTES, set), EINVAL);
    check_error("setaffinity-no-bytes", SYS(SYS_sched_setaffinity, 0, 0, set), EINVAL);
    set[WORDS - 1] = 1ul << 63;
    check_error("setaffinity-not-there", SYS(SYS_sched_setaffinity, 0, BYTES, set), EINVAL);
    memset(set, 0xff, BYTES);
    check_result("setaffinity-more-than-there", SYS(SYS_sched_setaffinity, 0, BYTES, set), 0);
    get_set(set);
    check(!memcmp(set, all, BYTES), "getaffinity-only-there", "%lx", (unsigned long)set[0]);
    check_error("setaffinity-efault", SYS(SYS_sched_setaffinity, 0, 8, 8), EFAULT);
    check_error("setaffinity-esrch", SYS(SYS_sched_setaffinity, NO_PID, BYTES, all), ESRCH);
    check_error("getcpu-efault", SYS(SYS_getcpu, 8, 0, 0), EFAULT);
    check_result("getcpu-null", SYS(SYS_getcpu, 0, 0, 0), 0);
}

static void test_nice(void)
{
    // Linux may have started it with another one than 0.
    const long nice = 20 - SYS(SYS_getpriority, PRIO_PROCESS, 0), more = nice < 14 ? nice + 5 : 19;
    check(nice >= -20 && nice <= 19, "getpriority", "nice %ld", nice);
    check_result("setpriority", SYS(SYS_setpriority, PRIO_PROCESS, 0, more), 0);
    check_result("getpriority-more", SYS(SYS_getpriority, PRIO_PROCESS, 0), 20 - more);
    check_result("setpriority-beyond", SYS(SYS_setpriority, PRIO_PROCESS, 0, 1000), 0);
    check_result("getpriority-19", SYS(SYS_getpriority, PRIO_PROCESS, 0), 1);
    check_error("getpriority-einval", SYS(SYS_getpriority, 9, 0), EINVAL);
    check_error("getpriority-esrch", SYS(SYS_getpriority, PRIO_PROCESS, NO_PID), ESRCH);
    check_error("setpriority-esrch", SYS(SYS_setpriority, PRIO_PROCESS, NO_PID, 0), ESRCH);
    // Only who may raise it gets it back.
    long result = SYS(SYS_setpriority, PRIO_PROCESS, 0, nice);
    check(result == 0 || result == -EACCES, "setpriority-back", "%ld", result);
}

static void test_policies(void)
{
    struct sched_param param = {0};
    struct timespec slice = {-1, -1};
    check_result("getscheduler", SYS(SYS_sched_getscheduler, 0), SCHED_OTHER);
    check_result("getparam", SYS(SYS_sched_getparam, 0, &param), 0);
    check_result("getparam-0", param.sched_priority, 0);
    check_result("setscheduler-other", SYS(SYS_sched_setscheduler, 0, SCHED_OTHER, &param), 0);
    check_result("rr_get_interval", SYS(SYS_sched_rr_get_interval, 0, &slice), 0);
    check(slice.tv_sec == 0 && slice.tv_nsec >= 0, "rr_get_interval-slice", "%ld",
          (long)slice.tv_nsec);
    check_result("priority_max-fifo", SYS(SYS_sched_get_priority_max, SCHED_FIFO), 99);
    check_result("priority_min-rr", SYS(SYS_sched_get_priority_min, SCHED_RR), 1);
    check_result("priority_max-other", SYS(SYS_sched_get_priority_max, SCHED_OTHER), 0);
    check_error("priority_max-einval", SYS(SYS_sched_get_priority_max, 77), EINVAL);
    check_error("setscheduler-null", SYS(SYS_sched_setscheduler, 0, SCHED_RR, 0), EINVAL);
    check_error("setscheduler-efault", SYS(SYS_sched_setscheduler, 0, SCHED_RR, 8), EFAULT);
    check_error("setscheduler-policy", SYS(SYS_sched_setscheduler, 0, 77, &param), EINVAL);
    check_error("setscheduler-no-priority", SYS(SYS_sched_setscheduler, 0, SCHED_RR, &param),
                EINVAL);
    check_error("getscheduler-einval", SYS(SYS_sched_getscheduler, -1), EINVAL);
    check_error("getscheduler-esrch", SYS(SYS_sched_getscheduler, NO_PID), ESRCH);
    param.sched_priority = 100;
    check_error("setscheduler-beyond", SYS(SYS_sched_setscheduler, 0, SCHED_FIFO, &param),
                EINVAL);
    param.sched_priority = 7;
    check_error("setscheduler-other-7", SYS(SYS_sched_setscheduler, 0, SCHED_OTHER, &param),
                EINVAL);
    long result = SYS(SYS_sched_setscheduler, 0, SCHED_RR, &param);
    check(result == 0 || result == -EPERM, "setscheduler-rr", "%ld", result);
    if (result)
        return; // Linux, and not root's
    check_result("getscheduler-rr", SYS(SYS_sched_getscheduler, 0), SCHED_RR);
    param.sched_priority = 9;
    check_result("setparam", SYS(SYS_sched_setparam, 0, &param), 0);
    param.sched_priority = 0;
    check_result("getparam-rr", SYS(SYS_sched_getparam, 0, &param), 0);
    check_result("getparam-9", param.sched_priority, 9);
    SYS(SYS_sched_yield);
    param.sched_priority = 0;
    check_result("setscheduler-back", SYS(SYS_sched_setscheduler, 0, SCHED_OTHER, &param), 0);
    check_result("getscheduler-back", SYS(SYS_sched_getscheduler, 0), SCHED_OTHER);
}

int main(int argc, char **argv)
{
    long length = get_set(all);
    check(length > 0 && length % 8 == 0, "getaffinity", "%ld", length);
    int count = 0;
    for (int cpu = 0; cpu < BYTES * 8; cpu++)
        count += has(all, cpu);
    check(count > 0 && has(all, here()), "getcpu", "on %d of %d CPUs", here(), count);
    if (argc > 1)
        check_result("cpus-count", count, atoi(argv[1]));
    test_moves();
    test_masks();
    test_policies();
    test_nice();
    return summary();
}
