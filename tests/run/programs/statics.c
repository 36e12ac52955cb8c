/* A large bss, initialised data, constants, thread-local variables, constructors, destructors and atexit, in order. */
#include "check.h"

static char large[20 << 20];
static long filled[3000] = {1, 2, 3, [2999] = 4};
static __thread int local = 42;
static __thread char local_zeros[5000];
static __thread long aligned __attribute__((aligned(64))) = 7;
static char far_aligned[100] __attribute__((aligned(1 << 16))) = "far";

static void __attribute__((constructor(101))) first(void) { puts("constructor 1"); }
static void __attribute__((constructor(102))) second(void) { puts("constructor 2"); }
static void __attribute__((destructor)) last(void) { puts("destructor"); }
static void at_exit_a(void) { puts("atexit a"); }
static void at_exit_b(void) { puts("atexit b"); }

int main(void) {
    for (size_t i = 0; i < sizeof large; i += 65536) CHECK(large[i] == 0);
    for (size_t i = 0; i < sizeof large; i += 1 << 20) large[i] = (char)(i >> 20);
    for (size_t i = 0; i < sizeof large; i += 1 << 20) CHECK(large[i] == (char)(i >> 20) && large[i + 5000] == 0);
    CHECK(filled[2] == 3 && filled[3] == 0 && filled[2999] == 4);
    CHECK(local == 42 && local_zeros[4999] == 0 && aligned == 7 && (uintptr_t)&aligned % 64 == 0);
    CHECK((uintptr_t)far_aligned % (1 << 16) == 0 && far_aligned[0] == 'f');
    local++, local_zeros[0] = 1;
    CHECK(local == 43);
    atexit(at_exit_a);
    atexit(at_exit_b);
    puts("main");
    return 0;
}
