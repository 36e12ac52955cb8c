/* What operations of a kernel cost a program: run under `-icount shift=0`, where one instruction is one nanosecond of the
   guest's clock. The same binary runs on our kernel and, as init, on Linux. */
#include "counted.h"
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

enum { FEW = 10, MANY = 100000, LARGE = 2 << 20 };

static char *ranges; /* those that can be written have others between them that cannot */
static char *around; /* the area and what is mapped beside it */
static long first;   /* range that a round touches */

static long bare_call(long number) {
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number) : "rcx", "r11", "memory");
    return result;
}

static void calls(void) {
    for (long i = 0; i < REPEATS; i++) bare_call(SYS_getppid);
}
static void reads(void) {
    for (long i = 0; i < PAGES; i++) (void)((volatile char *)area)[i * PAGE];
}
static void protects(void) {
    if (mprotect(area, PAGES * PAGE, PROT_READ)) fail("mprotect");
}
static void unmaps(void) { unmap_area(); }
static void map_and_unmap(void) {
    for (long i = 0; i < REPEATS; i++) {
        map_area();
        unmap_area();
    }
}
static void populates(void) {
    area = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (area == MAP_FAILED) fail("mmap");
}
static void allow_large(void) { /* Linux has none in a machine as small as its guest, unless it is told to */
    if (getpid() != 1 || access("/sys/kernel", F_OK) == 0) return;
    mkdir("/sys", 0755);
    if (mount("sysfs", "/sys", "sysfs", 0, NULL)) fail("mount of /sys");
    int file = open("/sys/kernel/mm/transparent_hugepage/enabled", O_WRONLY);
    if (file < 0 || write(file, "madvise", 7) != 7) fail("large pages");
    close(file);
}
static void map_large(void) { /* an area that large pages fit, if they are to be had */
    allow_large();
    char *at = mmap(NULL, PAGES * PAGE + LARGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) fail("mmap");
    area = at + (-(unsigned long)at & (LARGE - 1));
    if (madvise(area, PAGES * PAGE, MADV_HUGEPAGE)) fail("madvise");
    around = at;
}
static void unmap_large(void) { if (munmap(around, PAGES * PAGE + LARGE)) fail("munmap"); }
static void drops(void) {
    if (madvise(area, PAGES * PAGE, MADV_DONTNEED)) fail("madvise");
}

static void allow_ranges(void) { /* Linux has a limit, which is raised where this is its init, alone in a guest */
    if (getpid() != 1) return;
    mkdir("/proc", 0755);
    mount("proc", "/proc", "proc", 0, NULL);
    int limit = open("/proc/sys/vm/max_map_count", O_WRONLY);
    if (limit < 0 || write(limit, "300000", 6) != 6) fail("max_map_count");
    close(limit);
}
static void map_few(void) { /* FEW ranges of pages that can be written, and as many between them that cannot */
    ranges = mmap(NULL, 2L * PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (ranges == MAP_FAILED) fail("mmap");
    for (long i = 0; i < FEW; i++)
        if (mprotect(ranges + (2 * i + 1) * (PAGES / FEW) * PAGE, (PAGES / FEW) * PAGE, PROT_READ)) fail("mprotect");
}
static void unmap_few(void) { if (munmap(ranges, 2L * PAGES * PAGE)) fail("munmap"); }
static void touch_few(void) { /* each page in another range than the one before */
    for (long i = 0; i < PAGES / FEW; i++)
        for (long range = 0; range < FEW; range++)
            ((volatile char *)ranges)[(2 * range * (PAGES / FEW) + i) * PAGE] = 1;
}
static void map_many(void) {
    allow_ranges();
    ranges = mmap(NULL, (long)MANY * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (ranges == MAP_FAILED) fail("mmap");
    long made = 0;
    while (made < MANY && mprotect(ranges + made * PAGE, PAGE, PROT_READ | PROT_WRITE) == 0) made += 2;
    printf("ranges %ld\n", made); /* who reads this sees whether there was a limit */
    first = 0;
}
static void go_on(void) { first += PAGES; }
static void touch_many(void) {
    for (long i = 0; i < PAGES; i++) ((volatile char *)ranges)[2 * (first + i) * PAGE] = 1;
}

static const struct operation operations[] = {
    NOPS,
    {"system-call", nothing, calls, nothing, REPEATS, 1},
    {"first-write", map_area, touch, unmap_area, PAGES, 1},
    {"large-write", map_large, touch, unmap_large, PAGES, 1},
    {"first-read", map_area, reads, unmap_area, PAGES, 1},
    {"mprotect-page", map_touched, protects, unmap_area, PAGES, 0},
    {"munmap-page", map_touched, unmaps, nothing, PAGES, 0},
    {"map-unmap", nothing, map_and_unmap, nothing, REPEATS, 1},
    {"populate-page", nothing, populates, unmap_area, PAGES, 0},
    {"dontneed-page", map_touched, drops, unmap_area, PAGES, 0},
    {"fault-of-10", map_few, touch_few, unmap_few, PAGES / FEW * FEW, 1},
};
static const struct operation of_many = {"fault-of-100000", nothing, touch_many, go_on, PAGES, 1};

int main(void) {
    long long of_clock = measure_all(operations, sizeof operations / sizeof *operations);
    map_many();
    report(of_many.name, least(&of_many) - of_clock, of_many.repeats);
    fflush(stdout);
    return 0;
}
