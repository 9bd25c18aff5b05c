// forkbomb SECONDS [MIB [stubborn]]
//
// Every process makes children as fast as it can, until the time is over; with MIB each
// touches as much memory first; a stubborn one ignores ^C. What it proves: the machine survives it, and all end.
// Do not try it on a machine of yours without a limit on processes.

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static time_t end;
static long made, refused, killed;

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
    pid_t first = getpid();
    while (time(NULL) < end) {
        pid_t pid = fork();
        if (pid == 0) {
            made = refused = killed = 0;
            touch(mib);
        } else if (pid > 0) {
            made++;
        } else if (errno == EAGAIN || errno == ENOMEM) {
            refused++;
            usleep(1000);
        } else {
            _exit(3);
        }
    }
    // Those that have no parent any more end by themselves.
    int status;
    while (wait(&status) > 0)
        killed += WIFSIGNALED(status);
    if (getpid() == first)
        printf("forkbomb: %ld children, %ld refused, %ld killed\n", made, refused, killed);
    return 0;
}
