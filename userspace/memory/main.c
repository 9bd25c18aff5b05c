// memory LIST | memory NAME: the calls that change an address space, and what pages hold.
//
// One program for all of them, since each alone would bring its own copy of the C library.
// Each part is a file of that name, which says what it proves.

#include <stdio.h>
#include <string.h>

#include "memory.h"

static const struct {
    const char *name;
    int (*run)(void);
} parts[] = {
    {"mmap", test_mmap},
    {"munmap", test_munmap},
    {"mprotect", test_mprotect},
    {"mremap", test_mremap},
    {"brk", test_brk},
    {"madvise", test_madvise},
    {"mincore", test_mincore},
    {"msync", test_msync},
    {"stack", test_stack},
    {"huge", test_huge},
    {"wx", test_wx},
    {"zero", test_zero},
    {"cow", test_cow},
    {"many", test_many},
    {"cost", test_cost},
};
#define PARTS (sizeof parts / sizeof parts[0])

int main(int argc, char **argv)
{
    // Line by line: a child must not write again what its parent had not written yet.
    setvbuf(stdout, NULL, _IOLBF, 0);
    const char *name = argc == 2 ? argv[1] : "";
    for (size_t i = 0; i < PARTS; i++)
        if (!strcmp(name, "LIST"))
            puts(parts[i].name);
        else if (!strcmp(name, parts[i].name))
            return parts[i].run();
    if (!strcmp(name, "LIST"))
        return 0;
    fprintf(stderr, "usage: memory LIST | memory NAME\n");
    return 2;
}
