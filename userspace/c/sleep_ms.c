// sleep_ms N: sleeps N milliseconds and checks with the clock that they passed.
//
// What it proves: nanosleep(2) sleeps at least as long as asked, and the monotonic
// clock moves.

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static long long now_ns(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now)) {
        perror("clock_gettime");
        exit(1);
    }
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: sleep_ms N\n");
        return 2;
    }
    long milliseconds = atol(argv[1]);
    struct timespec length = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    long long start = now_ns();
    if (nanosleep(&length, NULL)) {
        perror("nanosleep");
        return 1;
    }
    long long slept = now_ns() - start;
    if (slept < milliseconds * 1000000LL) {
        printf("woke after %lld ns, too early\n", slept);
        return 1;
    }
    printf("slept %ld ms\n", milliseconds);
    return 0;
}
