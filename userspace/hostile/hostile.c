// hostile LIST | hostile NAME: does one thing that a program must not be able to do.
//
// What it proves: whatever user code does, the kernel kills that program with the
// signal that Linux sends, or refuses the call and lets it go on; nothing else is
// harmed. The name is printed first, so that a signal before it is told apart.

#include <stdlib.h>
#include <sys/mman.h>

#include "hostile.h"

static const struct kind *const themes[] = {
    memory_kinds, instruction_kinds,   selector_kinds,
    flag_kinds,   stack_pointer_kinds, pointer_kinds,
    protection_kinds,
};
#define THEMES (sizeof themes / sizeof themes[0])

unsigned char *fresh_page(void)
{
    void *page = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
        perror("mmap");
        exit(3);
    }
    return page;
}

static int run(const struct kind *kind)
{
    printf("%s\n", kind->name);
    fflush(stdout);
    if (kind->run()) {
        printf("the kernel gave way\n");
        return 1;
    }
    printf("survived\n");
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: hostile LIST | hostile NAME\n");
        return 2;
    }
    int list = !strcmp(argv[1], "LIST");
    for (size_t theme = 0; theme < THEMES; theme++)
        for (const struct kind *kind = themes[theme]; kind->name; kind++)
            if (list)
                puts(kind->name);
            else if (!strcmp(argv[1], kind->name))
                return run(kind);
    if (list)
        return 0;
    fprintf(stderr, "hostile: no such kind: %s\n", argv[1]);
    return 2;
}
