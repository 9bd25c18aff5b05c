// memhog MIB|all SECONDS
//
// Touches that many MiB, or memory without end, then keeps it until the time is over.
// What it proves: a program that wants all memory ends, and nobody else suffers.
// With `all` it is killed; do not try that on a machine of yours without a limit.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: memhog MIB|all SECONDS\n");
        return 2;
    }
    long most = strcmp(argv[1], "all") == 0 ? -1 : atol(argv[1]);
    time_t end = time(NULL) + atol(argv[2]);
    long had = 0;
    while (had != most && time(NULL) < end) {
        char *bytes = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (bytes == MAP_FAILED) {
            printf("memhog: no more than %ld MiB\n", had);
            break;
        }
        for (long at = 0; at < 1 << 20; at += 4096)
            bytes[at] = 1;
        had++;
    }
    while (time(NULL) < end)
        usleep(10000);
    printf("memhog: had %ld MiB\n", had);
    return 0;
}
