// exit_with N: exits with N.
//
// What it proves: the status that is reported is the low byte of N, as wait(2)
// gives it.

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: exit_with N\n");
        return 2;
    }
    exit(atoi(argv[1]));
}
