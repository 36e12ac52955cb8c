/* mmap, munmap and mprotect by hand: holes, overlaps, refusals, and what a range holds afterwards. */
#include "check.h"

enum { P = 4096, RW = PROT_READ | PROT_WRITE, PRIVATE = MAP_PRIVATE | MAP_ANONYMOUS };

static int is_readable(const void *at) { return access(at, F_OK) == 0 || errno != EFAULT; }

static void holes(void) {
    char *at = map_pages(9, RW);
    for (int i = 0; i < 9; i++) at[i * P] = (char)('a' + i);
    CHECK(munmap(at + 3 * P, 2 * P) == 0 && munmap(at + 3 * P, P) == 0); /* twice is no fault */
    for (int i = 0; i < 9; i++) CHECK(is_readable(at + i * P) == !(i == 3 || i == 4));
    FAILS(mprotect(at + 2 * P, 3 * P, PROT_READ), ENOMEM);
    CHECK(mmap(at + 4 * P, P, RW, PRIVATE | MAP_FIXED, -1, 0) == at + 4 * P && at[4 * P] == 0);
    CHECK(at[2 * P] == 'c' && at[5 * P] == 'f' && munmap(at, 9 * P) == 0);
    for (int i = 0; i < 9; i++) CHECK(!is_readable(at + i * P));
}

static void replaced(void) {
    char *at = map_pages(4, RW);
    memset(at, 7, 4 * P);
    CHECK(mmap(at + P, 2 * P, PROT_READ, PRIVATE | MAP_FIXED, -1, 0) == at + P);
    CHECK(at[P - 1] == 7 && at[P] == 0 && at[3 * P - 1] == 0 && at[3 * P] == 7);
    FAILS(mmap(at + P, P, RW, PRIVATE | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
    CHECK(munmap(at + P, P) == 0 && mmap(at + P, P, RW, PRIVATE | MAP_FIXED_NOREPLACE, -1, 0) == at + P);
    CHECK(mmap(at, P, RW, PRIVATE, -1, 0) != at); /* a hint that is taken */
    CHECK(munmap(at, 4 * P) == 0);
    CHECK(mmap(at, P, RW, PRIVATE, -1, 0) == at && at[0] == 0 && munmap(at, P) == 0);
}

static void rights(void) {
    char *at = map_pages(6, PROT_NONE);
    for (int i = 0; i < 6; i++) CHECK(!is_readable(at + i * P));
    CHECK(mprotect(at + P, 2 * P, RW) == 0);
    at[P] = 1, at[3 * P - 1] = 2;
    CHECK(mprotect(at + P, 2 * P, PROT_NONE) == 0 && !is_readable(at + P));
    CHECK(mprotect(at, 6 * P, PROT_READ) == 0 && at[P] == 1 && at[3 * P - 1] == 2 && at[5 * P] == 0);
    FAILS(syscall(SYS_clock_gettime, 1, at), EFAULT);
    CHECK(mprotect(at, P, PROT_WRITE) == 0 && syscall(SYS_clock_gettime, 1, at) == 0);
    volatile char *only_written = at;
    only_written[100] = 3;
    CHECK(only_written[100] == 3); /* the processor has no page that is written and not read */
    CHECK(munmap(at, 6 * P) == 0);
}

static void refusals(void) {
    char *at = map_pages(2, RW);
    FAILS(mmap(NULL, 0, RW, PRIVATE, -1, 0), EINVAL);
    FAILS(mmap(NULL, P, RW, MAP_ANONYMOUS, -1, 0), EINVAL);
    FAILS(mmap(at + 1, P, RW, PRIVATE | MAP_FIXED, -1, 0), EINVAL);
    FAILS(mmap(NULL, P, PROT_READ, MAP_PRIVATE, 99, 0), EBADF);
    FAILS(syscall(SYS_mmap, 0, P, RW, PRIVATE, -1, 5), EINVAL);
    FAILS(mmap(NULL, (size_t)1 << 62, RW, PRIVATE, -1, 0), ENOMEM);
    FAILS(mmap(NULL, (size_t)-P, RW, PRIVATE, -1, 0), ENOMEM);
    FAILS(mmap((void *)0x7ffffffff000, P, RW, PRIVATE | MAP_FIXED, -1, 0), ENOMEM);
    FAILS(mmap((void *)0x800000000000, P, RW, PRIVATE | MAP_FIXED, -1, 0), ENOMEM);
    FAILS(syscall(SYS_munmap, at + 1, P), EINVAL);
    FAILS(syscall(SYS_munmap, at, 0), EINVAL);
    FAILS(syscall(SYS_munmap, (char *)0xFFFFFFFF80000000, P), EINVAL);
    FAILS(syscall(SYS_mprotect, at + 1, P, RW), EINVAL);
    FAILS(syscall(SYS_mprotect, at, P, 0xF0), EINVAL);
    CHECK(syscall(SYS_mprotect, at, 0, RW) == 0);
    FAILS(syscall(SYS_mprotect, at, (size_t)-P, RW), ENOMEM);
    at[0] = 1;
    CHECK(munmap(at, P + 1) == 0 && !is_readable(at + P)); /* lengths are rounded up */
}

static void many(void) {
    static char *pages[600];
    for (int i = 0; i < 600; i++) {
        pages[i] = map_pages(1 + i % 3, i % 2 ? RW : PROT_READ);
        if (i % 2) *pages[i] = (char)i;
    }
    for (int i = 1; i < 600; i += 2) CHECK(*pages[i] == (char)i);
    for (int i = 0; i < 600; i++) CHECK(munmap(pages[i * 7 % 600], (1 + i * 7 % 600 % 3) * P) == 0);
    for (int i = 0; i < 600; i++) CHECK(!is_readable(pages[i]));
}

static void far_apart(void) {
    size_t bytes = (size_t)1 << 40;
    char *at = mmap(NULL, bytes, RW, PRIVATE | MAP_NORESERVE, -1, 0);
    CHECK(at != MAP_FAILED);
    for (size_t i = 0; i < 40; i++) at[bytes / 40 * i] = (char)(i + 1);
    for (size_t i = 0; i < 40; i++) CHECK(at[bytes / 40 * i] == (char)(i + 1) && at[bytes / 40 * i + P] == 0);
    CHECK(munmap(at, bytes) == 0);
}

int main(void) {
    holes();
    replaced();
    rights();
    refusals();
    many();
    far_apart();
    puts("ok");
    return 0;
}
