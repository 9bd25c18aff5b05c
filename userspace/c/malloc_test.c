// malloc_test: allocates, grows, shrinks and frees; checks every byte.
//
// What it proves: brk, mmap, mremap, munmap and mprotect give memory that is zero
// at first, holds what was written, belongs to one owner, and can be had again.

#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include "sys.h"

#define PAGE 4096UL
#define MIB (1024 * 1024UL)

// What byte `i` of the block of that seed must be.
static unsigned char pattern(size_t seed, size_t i)
{
    return (unsigned char)(seed * 31 + i * 7 + (i >> 8) + 1);
}

static void fill(unsigned char *block, size_t from, size_t to, size_t seed)
{
    for (size_t i = from; i < to; i++)
        block[i] = pattern(seed, i);
}

static int holds(const unsigned char *block, size_t length, size_t seed)
{
    for (size_t i = 0; i < length; i++)
        if (block[i] != pattern(seed, i))
            return 0;
    return 1;
}

static int all_zero(const unsigned char *block, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (block[i])
            return 0;
    return 1;
}

static void test_sizes(void)
{
    enum { COUNT = 23 };
    unsigned char *blocks[COUNT];
    int good = 1;
    for (size_t i = 0; i < COUNT; i++) {
        size_t size = 1UL << i;
        blocks[i] = malloc(size);
        good &= blocks[i] != NULL && (uintptr_t)blocks[i] % 16 == 0;
        if (blocks[i])
            fill(blocks[i], 0, size, i);
    }
    check(good, "malloc-1-to-4MiB", "null or not aligned");
    good = 1;
    for (size_t i = 0; i < COUNT; i++) {
        good &= blocks[i] && holds(blocks[i], 1UL << i, i);
        free(blocks[i]);
    }
    check(good, "malloc-contents", "changed");
}

static void test_realloc(void)
{
    unsigned char *block = NULL;
    size_t filled = 0;
    int good = 1;
    for (size_t size = 1; size <= 8 * MIB && good; size = size * 3 + 1) {
        unsigned char *moved = realloc(block, size);
        good = moved && holds(moved, filled, 5);
        if (moved) {
            block = moved;
            fill(block, filled, size, 5);
            filled = size;
        }
    }
    check(good, "realloc-grow", "null or changed after %zu bytes", filled);
    for (size_t size = filled; size > 0 && good; size /= 5) {
        unsigned char *moved = realloc(block, size);
        good = moved && holds(moved, size, 5);
        if (moved)
            block = moved;
    }
    check(good, "realloc-shrink", "null or changed");
    free(block);
}

static void test_calloc(void)
{
    int good = 1;
    // Twice: the second round gets memory that was dirtied and given back.
    for (int round = 0; round < 2; round++)
        for (size_t size = 1; size <= 4 * MIB; size *= 4) {
            unsigned char *block = calloc(1, size);
            good &= block && all_zero(block, size);
            if (block)
                memset(block, 0xff, size);
            free(block);
        }
    check(good, "calloc-zero", "null or not zero");
}

// Many small blocks of pseudo-random sizes, freed and taken again in another order.
static void test_churn(void)
{
    enum { SLOTS = 256, STEPS = 20000 };
    static struct {
        unsigned char *block;
        size_t size;
    } slots[SLOTS];
    uint32_t random = 12345;
    int good = 1;
    for (int step = 0; step < STEPS; step++) {
        random = random * 1664525 + 1013904223;
        size_t slot = random >> 24;
        if (slots[slot].block)
            good &= holds(slots[slot].block, slots[slot].size, slot);
        free(slots[slot].block);
        slots[slot].size = (random >> 8 & 1023) + 1;
        slots[slot].block = malloc(slots[slot].size);
        good &= slots[slot].block != NULL;
        if (slots[slot].block)
            fill(slots[slot].block, 0, slots[slot].size, slot);
    }
    for (size_t slot = 0; slot < SLOTS; slot++)
        free(slots[slot].block);
    check(good, "malloc-churn", "null or changed");
}

static void test_mmap(void)
{
    enum { PAGES = 64 };
    unsigned char *area = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(area != MAP_FAILED && (uintptr_t)area % PAGE == 0, "mmap", "%m");
    if (area == MAP_FAILED)
        return;
    check(all_zero(area, PAGES * PAGE), "mmap-zero", "not zero");
    fill(area, 0, PAGES * PAGE, 9);

    // A hole in the middle; what is around it stays.
    check_result("munmap-middle", munmap(area + 16 * PAGE, 16 * PAGE), 0);
    check(holds(area, 16 * PAGE, 9), "munmap-keeps-below", "changed");
    int good = 1;
    for (size_t i = 32 * PAGE; i < PAGES * PAGE; i++)
        good &= area[i] == pattern(9, i);
    check(good, "munmap-keeps-above", "changed");

    // The hole, mapped anew, is zero.
    void *again = mmap(area + 16 * PAGE, 16 * PAGE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    check(again == area + 16 * PAGE, "mmap-fixed", "%p", again);
    check(again == area + 16 * PAGE && all_zero(again, 16 * PAGE), "mmap-fixed-zero", "not zero");

    // A hint that is free is taken.
    check_result("munmap-tail", munmap(area + 48 * PAGE, 16 * PAGE), 0);
    check_result("munmap-unmapped", munmap(area + 48 * PAGE, 16 * PAGE), 0);

    // Read-only, and back: contents stay.
    check_result("mprotect-read", mprotect(area, 16 * PAGE, PROT_READ), 0);
    check(holds(area, 16 * PAGE, 9), "mprotect-read-contents", "changed");
    check_result("mprotect-none", mprotect(area + PAGE, PAGE, PROT_NONE), 0);
    check_result("mprotect-write", mprotect(area, 16 * PAGE, PROT_READ | PROT_WRITE), 0);
    check(holds(area, 16 * PAGE, 9), "mprotect-write-contents", "changed");
    area[0] = 1;
    check_result("munmap", munmap(area, 48 * PAGE), 0);
}

static void test_mremap(void)
{
    unsigned char *area = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area == MAP_FAILED) {
        check(0, "mremap", "no memory: %m");
        return;
    }
    fill(area, 0, 4 * PAGE, 3);
    unsigned char *larger = mremap(area, 4 * PAGE, 4 * MIB, MREMAP_MAYMOVE);
    check(larger != MAP_FAILED, "mremap-grow", "%m");
    if (larger == MAP_FAILED)
        return;
    check(holds(larger, 4 * PAGE, 3), "mremap-contents", "changed");
    check(all_zero(larger + 4 * PAGE, 4 * MIB - 4 * PAGE), "mremap-zero", "not zero");
    unsigned char *smaller = mremap(larger, 4 * MIB, PAGE, 0);
    check(smaller == larger && holds(smaller, PAGE, 3), "mremap-shrink", "%p", (void *)smaller);
    check_result("mremap-unmap", munmap(smaller, PAGE), 0);
}

// The program break, past the C library: grows by odd amounts, shrinks, grows again.
static void test_brk(void)
{
    unsigned char *start = (unsigned char *)SYS(SYS_brk, 0);
    unsigned char *end = start + 300 * PAGE + 123;
    check((unsigned char *)SYS(SYS_brk, end) == end, "brk-grow", "refused");
    if ((unsigned char *)SYS(SYS_brk, 0) != end)
        return;
    check(all_zero(start, (size_t)(end - start)), "brk-zero", "not zero");
    fill(start, 0, (size_t)(end - start), 4);
    check((unsigned char *)SYS(SYS_brk, start + PAGE) == start + PAGE, "brk-shrink", "refused");
    check(holds(start, PAGE, 4), "brk-contents", "changed");
    check((unsigned char *)SYS(SYS_brk, end) == end, "brk-regrow", "refused");
    // Whole pages that were given back come back as zero.
    unsigned char *fresh = (unsigned char *)(((uintptr_t)start + 2 * PAGE) & ~(PAGE - 1));
    check(all_zero(fresh, (size_t)(end - fresh)), "brk-regrow-zero", "not zero");
    check((unsigned char *)SYS(SYS_brk, 4096) == end, "brk-below-start", "the break moved");
    check((unsigned char *)SYS(SYS_brk, start) == start, "brk-restore", "refused");
}

int main(void)
{
    // First, before malloc has put anything at the break.
    test_brk();
    test_sizes();
    test_realloc();
    test_calloc();
    test_churn();
    test_mmap();
    test_mremap();
    check(malloc(1UL << 46) == NULL, "malloc-64TiB", "got it");
    return summary();
}
