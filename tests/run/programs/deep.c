/* Recursion that needs MiBs of stack, twice: the second time the stack has its pages. Argument: the depth. */
#include "check.h"

static uint64_t down(long depth) {
    volatile uint64_t frame[100];
    for (int i = 0; i < 100; i++) frame[i] = (uint64_t)depth * 100 + (uint64_t)i;
    uint64_t below_it = depth ? down(depth - 1) : 0;
    for (int i = 0; i < 100; i++) CHECK(frame[i] == (uint64_t)depth * 100 + (uint64_t)i);
    return below_it * 7 + frame[depth % 100];
}

int main(int argc, char **argv) {
    long depth = argc > 1 ? atol(argv[1]) : 6000;
    uint64_t first = down(depth), second = down(depth / 2);
    printf("%llx %llx\n", (unsigned long long)first, (unsigned long long)second);
    return 0;
}
