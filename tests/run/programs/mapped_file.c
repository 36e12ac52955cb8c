/* A file that is mapped privately: its bytes, zeros behind them, writes that no other mapping sees.
   Its root has data as in files.c. */
#include "check.h"
#include <fcntl.h>

enum { BYTES = 3 * 4096 + 5 };

int main(int argc, char **argv) {
    (void)argv;
    int file = open("data", O_RDONLY);
    unsigned char *first = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    unsigned char *second = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, file, 8192);
    CHECK(file >= 0 && first != MAP_FAILED && second != MAP_FAILED && close(file) == 0);
    for (int i = 0; i < BYTES; i++) CHECK(first[i] == i * 7 % 251);
    for (int i = BYTES; i < 4 * 4096; i++) CHECK(first[i] == 0);
    memset(first, 1, BYTES);
    for (int i = 0; i < 4096; i++) CHECK(second[i] == (8192 + i) * 7 % 251);
    CHECK(mprotect(second, 4096, PROT_READ | PROT_WRITE) == 0);
    second[5] = 9;
    CHECK(second[5] == 9 && second[6] == 8198 * 7 % 251 && munmap(first, BYTES) == 0);
    puts("ok");
    fflush(stdout);
    if (argc > 1) { /* beyond the file's last page */
        file = open("data", O_RDONLY);
        first = mmap(NULL, 8 * 4096, PROT_READ, MAP_PRIVATE, file, 0);
        return first[4 * 4096 + 1];
    }
    return 0;
}
