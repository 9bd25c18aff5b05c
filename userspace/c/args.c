// args: prints what the kernel put on the initial stack, and checks it.
//
// What it proves: the loader builds argc, argv, envp and the auxiliary vector as
// Linux does, at an aligned stack pointer; .data, .bss, thread-local storage and
// relocated pointers are in place. Built as ET_EXEC (args), as a static PIE
// (args-pie) and with glibc (args-glibc).

#include <elf.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "check.h"
#include "sys.h"

extern char _start[];

static char zeroes[3 * 4096 + 17];
static int initialised = 0x1234567;
static __thread int thread_local_value = 42;
static __thread char thread_local_zeroes[100];
static const char *volatile relocated[] = {"zero", "one", "two"};

static const struct {
    unsigned long type;
    const char *name;
    int required;
    enum { HEX, DECIMAL, STRING } form;
} names[] = {
    {AT_PHDR, "AT_PHDR", 1, HEX},
    {AT_PHENT, "AT_PHENT", 1, DECIMAL},
    {AT_PHNUM, "AT_PHNUM", 1, DECIMAL},
    {AT_PAGESZ, "AT_PAGESZ", 1, DECIMAL},
    {AT_BASE, "AT_BASE", 0, HEX},
    {AT_FLAGS, "AT_FLAGS", 0, HEX},
    {AT_ENTRY, "AT_ENTRY", 1, HEX},
    {AT_UID, "AT_UID", 1, DECIMAL},
    {AT_EUID, "AT_EUID", 1, DECIMAL},
    {AT_GID, "AT_GID", 1, DECIMAL},
    {AT_EGID, "AT_EGID", 1, DECIMAL},
    {AT_PLATFORM, "AT_PLATFORM", 0, STRING},
    {AT_HWCAP, "AT_HWCAP", 0, HEX},
    {AT_CLKTCK, "AT_CLKTCK", 0, DECIMAL},
    {AT_SECURE, "AT_SECURE", 1, DECIMAL},
    {AT_BASE_PLATFORM, "AT_BASE_PLATFORM", 0, STRING},
    {AT_RANDOM, "AT_RANDOM", 1, HEX},
    {AT_HWCAP2, "AT_HWCAP2", 0, HEX},
    {27, "AT_RSEQ_FEATURE_SIZE", 0, DECIMAL},
    {28, "AT_RSEQ_ALIGN", 0, DECIMAL},
    {AT_EXECFN, "AT_EXECFN", 1, STRING},
    {AT_SYSINFO_EHDR, "AT_SYSINFO_EHDR", 0, HEX},
    {AT_MINSIGSTKSZ, "AT_MINSIGSTKSZ", 0, DECIMAL},
};
#define NAMES (sizeof names / sizeof names[0])

static void print_entry(const Elf64_auxv_t *entry)
{
    unsigned long value = entry->a_un.a_val;
    for (size_t i = 0; i < NAMES; i++) {
        if (names[i].type != entry->a_type)
            continue;
        if (names[i].form == STRING)
            printf("%s %s\n", names[i].name, (const char *)value);
        else
            printf(names[i].form == HEX ? "%s %#lx\n" : "%s %lu\n", names[i].name, value);
        return;
    }
    printf("AT_%lu %#lx\n", (unsigned long)entry->a_type, value);
}

// The entry of that type; without one, an entry of value 0.
static const Elf64_auxv_t *find(const Elf64_auxv_t *vector, unsigned long type)
{
    while (vector->a_type != AT_NULL && vector->a_type != type)
        vector++;
    static const Elf64_auxv_t none;
    return vector->a_type == type ? vector : &none;
}

static unsigned long value_of(const Elf64_auxv_t *vector, unsigned long type)
{
    return find(vector, type)->a_un.a_val;
}

static int all_zero(const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (bytes[i])
            return 0;
    return 1;
}

// The program headers must be readable, and a PT_LOAD must hold this function.
static void check_program_headers(const Elf64_auxv_t *vector)
{
    const Elf64_Phdr *headers = (const Elf64_Phdr *)value_of(vector, AT_PHDR);
    unsigned long count = value_of(vector, AT_PHNUM);
    check(value_of(vector, AT_PHENT) == sizeof(Elf64_Phdr), "AT_PHENT", "not %zu",
          sizeof(Elf64_Phdr));
    if (!headers)
        return;
    // A PIE is moved by the distance between where its headers are and where they say.
    unsigned long moved = 0, text = (unsigned long)&check_program_headers;
    for (unsigned long i = 0; i < count; i++)
        if (headers[i].p_type == PT_PHDR)
            moved = (unsigned long)headers - headers[i].p_vaddr;
        else if (headers[i].p_type == PT_DYNAMIC) {
            extern char _DYNAMIC[] __attribute__((weak));
            moved = (unsigned long)_DYNAMIC - headers[i].p_vaddr;
        }
    int found = 0;
    for (unsigned long i = 0; i < count; i++)
        if (headers[i].p_type == PT_LOAD && text - moved - headers[i].p_vaddr < headers[i].p_memsz)
            found = (headers[i].p_flags & PF_X) != 0;
    check(found, "AT_PHDR", "no executable PT_LOAD holds the text at %#lx", text);
}

int main(int argc, char **argv, char **envp)
{
    printf("argc %d\n", argc);
    for (int i = 0; i < argc; i++)
        printf("argv[%d] %s\n", i, argv[i]);
    char **end = envp;
    for (; *end; end++)
        printf("envp %s\n", *end);
    const Elf64_auxv_t *vector = (const Elf64_auxv_t *)(end + 1);
    for (const Elf64_auxv_t *entry = vector; entry->a_type != AT_NULL; entry++)
        print_entry(entry);

    // Each run has other ones, unless that was switched off.
    printf("places: %p %lx %p %p\n", (void *)argv, SYS(SYS_brk, 0), (void *)_start,
           mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

    // The initial stack pointer pointed at argc, right below argv[0].
    const unsigned long *stack = (const unsigned long *)argv - 1;
    check((uintptr_t)stack % 16 == 0, "stack-aligned", "rsp was %p", (const void *)stack);
    check(*stack == (unsigned long)argc, "argc-on-stack", "found %lu", *stack);
    check(argv[argc] == NULL, "argv-ends", "argv[argc] is %p", (void *)argv[argc]);
    check(envp == argv + argc + 1, "envp-follows-argv", "envp is at %p", (void *)envp);

    for (size_t i = 0; i < NAMES; i++)
        if (names[i].required)
            check(find(vector, names[i].type)->a_type == names[i].type, names[i].name, "missing");
    check(value_of(vector, AT_PAGESZ) == 4096, "AT_PAGESZ", "not 4096");
    check(value_of(vector, AT_ENTRY) == (unsigned long)_start, "AT_ENTRY", "_start is at %p",
          (void *)_start);
    check(value_of(vector, AT_SECURE) == 0, "AT_SECURE", "not 0");
    check_program_headers(vector);

    const char *random = (const char *)value_of(vector, AT_RANDOM);
    check(random && !all_zero(random, 16), "AT_RANDOM", "null or all zero");
    const char *executable = (const char *)value_of(vector, AT_EXECFN);
    check(executable && strchr(executable, '/'), "AT_EXECFN", "no path");
    unsigned long ticks = value_of(vector, AT_CLKTCK);
    check(ticks == 100 || ticks == 0, "AT_CLKTCK", "%lu", ticks);

    check(all_zero(zeroes, sizeof zeroes), "bss", "not zero");
    memset(zeroes, 0xa5, sizeof zeroes);
    check(initialised++ == 0x1234567, "data", "wrong");
    check(thread_local_value == 42, "tls-data", "%d", thread_local_value);
    check(all_zero(thread_local_zeroes, sizeof thread_local_zeroes), "tls-bss", "not zero");
    check(!strcmp(relocated[argc % 3], argc % 3 == 0 ? "zero" : argc % 3 == 1 ? "one" : "two"),
          "relocated", "wrong string");
    return summary();
}
