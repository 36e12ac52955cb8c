/* brk by hand: grows, shrinks, grows again with zeros, and refuses. */
#include "check.h"

static char *brk_to(char *at) { return (char *)syscall(SYS_brk, at); }

int main(void) {
    char *start = brk_to(NULL), *page = (char *)(((uintptr_t)start + 4095) & ~(uintptr_t)4095);
    CHECK(start && brk_to(start) == start);
    CHECK(brk_to(page + 10 * 4096) == page + 10 * 4096);
    for (int i = 0; i < 10; i++) {
        CHECK(page[i * 4096] == 0);
        page[i * 4096] = (char)(i + 1);
    }
    CHECK(brk_to(page + 5 * 4096 + 100) == page + 5 * 4096 + 100 && page[5 * 4096] == 6);
    CHECK(access(page + 6 * 4096, F_OK) == -1 && errno == EFAULT);
    CHECK(brk_to(page + 10 * 4096) == page + 10 * 4096);
    for (int i = 0; i < 10; i++) CHECK(page[i * 4096] == (i < 6 ? i + 1 : 0));
    CHECK(brk_to((char *)0x7ffffffff000) == page + 10 * 4096 && brk_to((char *)4096) == page + 10 * 4096);
    CHECK(brk_to((char *)-4096) == page + 10 * 4096);
    char *in_the_way = mmap(page + 20 * 4096, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    CHECK(in_the_way == page + 20 * 4096 && brk_to(page + 30 * 4096) == page + 10 * 4096);
    CHECK(brk_to(start) == start && brk_to(start + 1) == start + 1 && brk_to(start) == start);
    puts("ok");
    return 0;
}
