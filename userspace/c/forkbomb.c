// forkbomb SECONDS [MIB [stubborn]]
//
// Every process makes children as fast as it can, until the time is over; with MIB each
// touches as much memory first; a stubborn one ignores ^C. What it proves: the machine survives
// it, and all end. The first one says how many children there were of all, how often fork was
// refused, and how many were killed as far as their parents saw it.
// Do not try it on a machine of yours without a limit on processes.

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static time_t end;

// In memory that all processes share.
static struct {
    long made, refused, killed;
} *counts;

static void count(long *counter)
{
    __atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
}

static void touch(long mib)
{
    volatile char *bytes = mib ? malloc(mib << 20) : NULL;
    for (long at = 0; bytes && at < mib << 20; at += 4096)
        bytes[at] = 1;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: forkbomb SECONDS [MIB [stubborn]]\n");
        return 2;
    }
    end = time(NULL) + atol(argv[1]);
    long mib = argc > 2 ? atol(argv[2]) : 0;
    if (argc > 3)
        signal(SIGINT, SIG_IGN);
    counts = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (counts == MAP_FAILED) {
        perror("forkbomb: mmap");
        return 3;
    }
    pid_t first = getpid();
    while (time(NULL) < end) {
        pid_t pid = fork();
        if (pid == 0) {
            touch(mib);
        } else if (pid > 0) {
            count(&counts->made);
        } else if (errno == EAGAIN || errno == ENOMEM) {
            count(&counts->refused);
            usleep(1000);
        } else {
            _exit(3);
        }
    }
    // Those that have no parent any more end by themselves.
    int status;
    while (wait(&status) > 0)
        if (WIFSIGNALED(status))
            count(&counts->killed);
    if (getpid() == first)
        printf("forkbomb: %ld children, %ld refused, %ld killed\n", counts->made,
               counts->refused, counts->killed);
    return 0;
}
