// echo_lines: repeats each line of standard input with its number, until the end.
//
// What it proves: reading from the console or a pipe, through the C library's
// buffers (readv and writev), up to end-of-file.

#include <stdio.h>
#include <string.h>

int main(void)
{
    char line[256];
    int count = 0, whole = 1;
    while (fgets(line, sizeof line, stdin)) {
        if (whole)
            printf("%d: ", ++count);
        whole = strchr(line, '\n') != NULL;
        fputs(line, stdout);
        fflush(stdout);
    }
    if (!whole)
        putchar('\n');
    if (ferror(stdin)) {
        perror("stdin");
        return 1;
    }
    printf("%d lines\n", count);
    return 0;
}
