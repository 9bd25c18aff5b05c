// launch STATUS SECONDS COPIES INTERRUPT_MS FILE ARGUMENTS…: runs FILE and says how
// it ended. Runs on the build machine, for check-on-linux.sh.
//
// A shell cannot do it: it takes a file that is no program for a script, and hides
// why exec failed. ARGUMENTS start with argv[0]. COPIES processes are started at
// once; after INTERRUPT_MS (0: never) each gets SIGINT, as ^C sends it. Writes to the
// file STATUS, one line for each process: `exit N`, `signal NAME`, `error NAME` (exec
// failed) or `timeout`.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_COPIES = 16 };

// What every program is given, here and on the kernel's initial stack.
static char *environment[] = {"PATH=/bin", "HOME=/", "TERM=linux", NULL};

static long long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

// Starts one process. If exec fails, its errno is read from *errors.
static pid_t start(char **argv, int *errors)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC))
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        const struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGINT, SIG_DFL);
        execve(argv[0], argv + 1, environment);
        int error = errno;
        if (write(ends[1], &error, sizeof error) != sizeof error)
            _exit(126);
        _exit(127);
    }
    close(ends[1]);
    *errors = ends[0];
    return pid;
}

int main(int argc, char **argv)
{
    if (argc < 7) {
        fprintf(stderr, "usage: launch STATUS SECONDS COPIES INTERRUPT_MS FILE ARGUMENTS...\n");
        return 2;
    }
    FILE *report = fopen(argv[1], "we");
    long long limit = atoll(argv[2]) * 1000, interrupt = atoll(argv[4]);
    int copies = atoi(argv[3]);
    pid_t pids[MAX_COPIES];
    int errors[MAX_COPIES];
    if (!report || copies < 1 || copies > MAX_COPIES) {
        fprintf(stderr, "launch: bad STATUS or COPIES\n");
        return 2;
    }
    long long begin = now_ms();
    for (int i = 0; i < copies; i++)
        if ((pids[i] = start(argv + 5, &errors[i])) < 0) {
            perror("launch");
            return 1;
        }

    int left = copies, interrupted = 0;
    while (left) {
        long long passed = now_ms() - begin;
        int late = passed > limit;
        for (int i = 0; i < copies; i++) {
            int status, error;
            if (!pids[i])
                continue;
            if (late)
                kill(pids[i], SIGKILL);
            else if (interrupt && !interrupted && passed >= interrupt)
                kill(pids[i], SIGINT);
            if (waitpid(pids[i], &status, late ? 0 : WNOHANG) != pids[i])
                continue;
            pids[i] = 0;
            left--;
            if (late)
                fprintf(report, "timeout\n");
            else if (read(errors[i], &error, sizeof error) == sizeof error)
                fprintf(report, "error %s\n", strerrorname_np(error));
            else if (WIFEXITED(status))
                fprintf(report, "exit %d\n", WEXITSTATUS(status));
            else
                fprintf(report, "signal SIG%s\n", sigabbrev_np(WTERMSIG(status)));
        }
        interrupted |= interrupt && passed >= interrupt;
        if (left)
            poll(NULL, 0, 2);
    }
    return fclose(report) != 0;
}
