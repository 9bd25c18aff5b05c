// Checks that print a line each, and count.
#pragma once

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int checks, failures;

// Prints `ok NAME`, or `FAIL NAME: ` and the message.
__attribute__((format(printf, 3, 4))) static void check(int good, const char *name,
                                                        const char *message, ...)
{
    checks++;
    if (good) {
        printf("ok %s\n", name);
        return;
    }
    failures++;
    printf("FAIL %s: ", name);
    va_list arguments;
    va_start(arguments, message);
    vprintf(message, arguments);
    va_end(arguments);
    printf("\n");
}

// `result` must be exactly `expected`.
__attribute__((unused)) static void check_result(const char *name, long result, long expected)
{
    check(result == expected, name, "returned %ld, not %ld", result, expected);
}

// `result` must be an error, and that one.
__attribute__((unused)) static void check_error(const char *name, long result, int expected)
{
    check(result == -expected, name, "returned %ld, not -%d (%s)", result, expected,
          strerror(expected));
}

// The last line, and the exit status.
__attribute__((unused)) static int summary(void)
{
    printf("%d checks, %d failed\n", checks, failures);
    return failures != 0;
}
