// Reading a file that has no size, as those of /proc and /sys.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// What was read last, with a zero byte behind it.
static char text[1 << 16];

// Reads a file in parts of `part` bytes into `text`; its length, or -errno.
static long read_all(const char *path, size_t part)
{
    int file = open(path, O_RDONLY);
    if (file < 0)
        return -errno;
    long had = 0, count = 0;
    while (had + part < sizeof text && (count = read(file, text + had, part)) > 0)
        had += count;
    if (count < 0)
        had = -errno;
    text[had < 0 ? 0 : had] = 0;
    close(file);
    return had;
}

// The number behind `name` in `text`, or -1.
__attribute__((unused)) static long field(const char *name)
{
    char *at = strstr(text, name);
    return at ? atol(at + strlen(name)) : -1;
}
