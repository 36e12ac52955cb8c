/* Hands its input on, byte for byte, in pieces of the size that is named; its length to standard error. */
#include "check.h"

int main(int argc, char **argv) {
    size_t piece = argc > 1 ? (size_t)atol(argv[1]) : 4096;
    char *buffer = malloc(piece);
    long count, all = 0;
    while ((count = read(0, buffer, piece)) > 0) {
        for (long done = 0, wrote; done < count; done += wrote) {
            wrote = write(1, buffer + done, (size_t)(count - done));
            CHECK(wrote > 0);
        }
        all += count;
    }
    CHECK(count == 0 && read(0, buffer, piece) == 0);
    fprintf(stderr, "%ld bytes\n", all);
    return 0;
}
