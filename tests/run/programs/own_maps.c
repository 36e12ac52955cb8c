/* /proc/self/maps: sorted, without overlap, and with the rights of what the program knows. */
#include "check.h"
#include <fcntl.h>

static struct { uintptr_t start, end; char rights[5], name[100]; } ranges[200];
static int count;
static char data_byte = 1;

static void find(const void *what, const char *rights, const char *name) {
    uintptr_t at = (uintptr_t)what;
    for (int i = 0; i < count; i++)
        if (ranges[i].start <= at && at < ranges[i].end) {
            CHECK(strncmp(ranges[i].rights, rights, 4) == 0 && (!name || strcmp(ranges[i].name, name) == 0));
            return;
        }
    CHECK(!"it is in no range");
}

static int parse(void) {
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[400];
    count = 0;
    CHECK(maps);
    while (fgets(line, sizeof line, maps) && count < 200) {
        ranges[count].name[0] = 0;
        CHECK(sscanf(line, "%lx-%lx %4s %*x %*x:%*x %*u %99s", &ranges[count].start, &ranges[count].end, ranges[count].rights, ranges[count].name) >= 3);
        count++;
    }
    CHECK(feof(maps) && fclose(maps) == 0);
    for (int i = 0; i < count; i++) {
        CHECK(ranges[i].start < ranges[i].end && ranges[i].start % 4096 == 0 && ranges[i].end % 4096 == 0);
        CHECK(i == 0 || ranges[i - 1].end <= ranges[i].start);
    }
    return count;
}

int main(void) {
    int on_stack;
    char *page = map_pages(3, PROT_READ | PROT_WRITE), *heap = (char *)syscall(SYS_brk, 0);
    CHECK((char *)syscall(SYS_brk, heap + 8192) == heap + 8192);
    CHECK(parse() > 4);
    find(&on_stack, "rw-p", "[stack]");
    find((void *)(uintptr_t)main, "r-xp", NULL);
    find("constant", "r--p", NULL);
    find(&data_byte, "rw-p", NULL);
    find(page, "rw-p", NULL);
    find(heap + 4096, "rw-p", "[heap]");
    CHECK(mprotect(page + 4096, 4096, PROT_READ | PROT_EXEC) == 0 && parse() > 6);
    find(page, "rw-p", NULL);
    find(page + 4096, "r-xp", NULL);
    find(page + 8192, "rw-p", NULL);
    int file = open("folder/inner", O_RDONLY);
    char *inner = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, file, 0);
    CHECK(inner != MAP_FAILED && parse() > 7);
    for (int i = 0; i < count; i++) {
        const char *last = strrchr(ranges[i].name, '/');
        CHECK((ranges[i].start == (uintptr_t)inner) == (last && strcmp(last, "/inner") == 0));
    }
    puts("ok");
    return 0;
}
