/* All bytes to standard output and standard error in turn, in pieces of many sizes; then several at once. */
#include "check.h"
#include <sys/uio.h>

int main(void) {
    static unsigned char bytes[70000];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (unsigned char)(i * 31 >> (i % 3));
    size_t sizes[] = {0, 1, 2, 255, 256, 4095, 4096, 4097, 65536, 70000};
    for (int i = 0; i < 10; i++)
        for (int channel = 1; channel <= 2; channel++) CHECK(write(channel, bytes, sizes[i]) == (long)sizes[i]);
    struct iovec parts[] = {{bytes, 100}, {NULL, 0}, {bytes + 100, 5000}, {"\r\n\0end", 6}};
    CHECK(writev(1, parts, 4) == 5106 && writev(2, parts + 3, 1) == 6);
    FAILS(write(17, bytes, 1), EBADF);
    return 0;
}
