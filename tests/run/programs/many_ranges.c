/* 100,000 ranges, if a program may have so many: calls that would make one more are refused, and those that do not go on. */
#include "check.h"

#define LINUX_HAS 65530
#define WANTED 100000

static long ranges_now(void) {
    static char text[1 << 16];
    FILE *maps = fopen("/proc/self/maps", "r");
    long count = 0;
    size_t got;
    CHECK(maps);
    while ((got = fread(text, 1, sizeof text, maps)) > 0)
        for (size_t i = 0; i < got; i++) count += text[i] == '\n';
    fclose(maps);
    return count;
}

int main(void) {
    char *at = mmap(NULL, 200000L << 12, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    long pages = 0;
    CHECK(at != MAP_FAILED);
    while (pages < WANTED && mprotect(at + (pages << 12), 4096, PROT_READ | PROT_WRITE) == 0) pages += 2;
    CHECK(pages > LINUX_HAS - 100);
    if (pages < WANTED) FAILS(munmap(at + (190000L << 12), 4096), ENOMEM);
    CHECK(mprotect(at, 4096, PROT_READ) == 0 && mprotect(at, 4096, PROT_READ | PROT_WRITE) == 0);
    CHECK(munmap(at, 4096) == 0);
    for (long i = 2; i < pages; i += 500) at[i << 12] = (char)i;
    for (long i = 2; i < pages; i += 500) CHECK(at[i << 12] == (char)i);
    CHECK(munmap(at, 200000L << 12) == 0 && ranges_now() < 60);
    puts("ok");
    return 0;
}
