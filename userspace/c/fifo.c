// fifo: a real-time task keeps its turn when a higher one takes its CPU for a moment.
//
// Run as three at once, which share one CPU: the pid tells each what it is. One sleeps and
// wakes again and again, with the highest priority; two spin for a while, as equals, first
// come, first served: whoever begins is done before the other begins, whatever the third
// does. A spinner that had to share the CPU with its equal would miss half of its time.

#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "sys.h"

enum { SPIN_NS = 400000000, PERIOD_NS = 3000000 };

static int64_t now(clockid_t clock)
{
    struct timespec time;
    SYS(SYS_clock_gettime, clock, &time);
    return time.tv_sec * 1000000000l + time.tv_nsec;
}

int main(void)
{
    uint64_t first[16] = {0};
    SYS(SYS_sched_getaffinity, 0, sizeof first, first);
    first[0] &= -first[0];
    check_result("fifo-confine", SYS(SYS_sched_setaffinity, 0, sizeof first, first), 0);
    int wakes = getpid() % 3 == 0;
    struct sched_param param = {.sched_priority = wakes ? 20 : 10};
    long result = SYS(SYS_sched_setscheduler, 0, SCHED_FIFO, &param);
    if (result == -EPERM) {
        printf("fifo: not permitted\n"); // Linux, and not root's
        return summary();
    }
    check_result("fifo-setscheduler", result, 0);
    // All are there, and equals wait for their turn, before the first one spins.
    struct timespec moment = {0, 300000000};
    SYS(SYS_nanosleep, &moment, 0);
    const int64_t begin = now(CLOCK_MONOTONIC), cpu_begin = now(CLOCK_THREAD_CPUTIME_ID);
    if (wakes) {
        moment.tv_nsec = PERIOD_NS;
        while (now(CLOCK_MONOTONIC) - begin < 2 * SPIN_NS)
            SYS(SYS_nanosleep, &moment, 0);
        printf("fifo: woke\n");
        return summary();
    }
    while (now(CLOCK_THREAD_CPUTIME_ID) - cpu_begin < SPIN_NS)
        ;
    const int64_t lost = now(CLOCK_MONOTONIC) - begin - SPIN_NS;
    check(lost < SPIN_NS / 2, "fifo-keeps-its-turn", "lost %ld ms of %d", (long)(lost / 1000000),
          SPIN_NS / 1000000);
    printf("fifo: spun\n");
    return summary();
}
