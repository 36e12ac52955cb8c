/* What operations of a kernel cost a program: run under `-icount shift=0`, where one instruction is one nanosecond of the
   guest's clock. The same binary runs on our kernel and, as init, on Linux. */
#include "counted.h"

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

static const struct operation operations[] = {
    NOPS,
    {"system-call", nothing, calls, nothing, REPEATS, 1},
    {"first-write", map_area, touch, unmap_area, PAGES, 1},
    {"first-read", map_area, reads, unmap_area, PAGES, 1},
    {"mprotect-page", map_touched, protects, unmap_area, PAGES, 0},
    {"munmap-page", map_touched, unmaps, nothing, PAGES, 0},
    {"map-unmap", nothing, map_and_unmap, nothing, REPEATS, 1},
};

int main(void) {
    measure_all(operations, sizeof operations / sizeof *operations);
    return 0;
}
