/* Asks for memory in each way, and says which were refused: brk, mmap, pages, mprotect that splits, a file, its mapping.
   Its root has data as in files.c. A call that is refused a page of the program's that it copies from or to is EFAULT,
   as on Linux. */
#include "check.h"
#include <fcntl.h>

static int refused;

static void say(const char *what, int is_refused) {
    CHECK(!is_refused || errno == ENOMEM);
    if (is_refused) refused++, dprintf(2, "refused: %s\n", what);
}

static void say_of_copy(const char *what, int is_refused) {
    if (is_refused && errno == EFAULT) errno = ENOMEM;
    say(what, is_refused);
}

int main(void) {
    char *heap = (char *)syscall(SYS_brk, 0), buffer[8192];
    say("brk", (char *)syscall(SYS_brk, heap + 65536) != heap + 65536 && (errno = ENOMEM));
    char *pages = mmap(NULL, 64 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    say("mmap", pages == MAP_FAILED);
    if (pages != MAP_FAILED) {
        for (int i = 0; i < 64; i += 3) pages[i * 4096] = (char)i;
        say("mprotect", mprotect(pages + 4 * 4096, 4096, PROT_READ) != 0);
        say("munmap", munmap(pages + 8 * 4096, 4096) != 0);
        for (int i = 0; i < 64; i += 3) CHECK(i == 8 || pages[i * 4096] == (char)i);
    }
    int file = open("data", O_RDONLY);
    say_of_copy("open", file < 0);
    if (file >= 0) {
        say_of_copy("read", read(file, buffer, sizeof buffer) < 0);
        char *mapped = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
        say("mmap of a file", mapped == MAP_FAILED);
        if (mapped != MAP_FAILED) mapped[4096] = 1;
    }
    int maps = open("/proc/self/maps", O_RDONLY);
    say_of_copy("open of maps", maps < 0);
    say_of_copy("read of maps", maps >= 0 && read(maps, buffer, sizeof buffer) < 0);
    printf("%d refused\n", refused);
    return 0;
}
