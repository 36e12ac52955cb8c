/* What CPUID answers. Not compared with the host, whose processor is another one. */
#include "check.h"
#include <cpuid.h>

int main(void) {
    static const unsigned starts[] = {0, 0x40000000, 0x80000000, 0xc0000000, 0xfffffff0};
    for (unsigned i = 0; i < sizeof starts / sizeof *starts; i++)
        for (unsigned leaf = starts[i]; leaf < starts[i] + 15; leaf++)
            for (unsigned subleaf = 0; subleaf < 300; subleaf = subleaf < 6 ? subleaf + 1 : subleaf + 253) {
                unsigned a, b, c, d;
                __cpuid_count(leaf, subleaf, a, b, c, d);
                printf("%x %x: %x %x %x %x\n", leaf, subleaf, a, b, c, d);
            }
    return 0;
}
