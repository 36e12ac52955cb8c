/* Takes memory until there is none: malloc says so, or the program is ended. */
#include "check.h"

int main(void) {
    puts("begins");
    fflush(stdout);
    for (;;) {
        char *block = malloc(1 << 20);
        if (!block) break;
        for (int i = 0; i < 1 << 20; i += 4096) block[i] = 1;
    }
    printf("no more: errno %d\n", errno);
    return 3;
}
