// The parts of the memory program: each returns its exit status.
#pragma once

int test_mmap(void);
int test_munmap(void);
int test_mprotect(void);
int test_mremap(void);
int test_brk(void);
int test_madvise(void);
int test_mincore(void);
int test_msync(void);
int test_stack(void);
int test_huge(void);
int test_wx(void);
int test_zero(void);
int test_cow(void);
int test_many(void);
int test_cost(void);
