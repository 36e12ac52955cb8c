/* What stands behind descriptors 0, 1 and 2, and what stdio makes of it: lost words are those that _exit drops. */
#include "check.h"
#include <fcntl.h>
#include <sys/stat.h>

int main(int argc, char **argv) {
    struct stat about;
    for (int i = 0; i < 3; i++) {
        CHECK(fstat(i, &about) == 0);
        dprintf(2, "%d: kind %o, terminal %d, access %d\n", i, about.st_mode & S_IFMT, isatty(i), fcntl(i, F_GETFL) & O_ACCMODE);
    }
    printf("a line\nno line");
    fprintf(stderr, "unbuffered ");
    if (argc > 1 && strcmp(argv[1], "drop") == 0) _exit(4);
    if (argc > 1 && strcmp(argv[1], "abort") == 0) abort();
    if (argc > 1 && strcmp(argv[1], "pipe") == 0) lseek(0, 0, SEEK_CUR);
    exit(errno == ESPIPE ? 29 : 5);
}
