/* Code that is written, run, written over and run again: in one page, through rights that change, through a page that is
   mapped anew at the same address, by the kernel's write, and in the block that runs. */
#include "check.h"
#include <fcntl.h>

typedef int (*function)(void);
enum { RWX = PROT_READ | PROT_WRITE | PROT_EXEC, RW = PROT_READ | PROT_WRITE, RX = PROT_READ | PROT_EXEC, PRIVATE = MAP_PRIVATE | MAP_ANONYMOUS };

static void put_code(unsigned char *at, int value) { /* mov eax, value; ret */
    at[0] = 0xb8;
    memcpy(at + 1, &value, 4);
    at[5] = 0xc3;
}

static int run(const void *at) { return ((function)(uintptr_t)at)(); }

int main(void) {
    unsigned char *page = mmap(NULL, 8192, RWX, PRIVATE, -1, 0);
    CHECK(page != MAP_FAILED);
    for (int i = 0; i < 2000; i++) {
        put_code(page, i);
        CHECK(run(page) == i);
    }
    put_code(page + 4094, 77); /* over the end of a page */
    CHECK(run(page + 4094) == 77);
    page[4096] = 1; /* the third byte of the value's four */
    CHECK(run(page + 4094) == 77 + 256);
    for (int i = 0; i < 200; i++) {
        CHECK(mprotect(page, 4096, RW) == 0);
        put_code(page, i * 3);
        CHECK(mprotect(page, 4096, RX) == 0 && run(page) == i * 3);
    }
    for (int i = 0; i < 200; i++) {
        CHECK(mmap(page, 4096, RW, PRIVATE | MAP_FIXED, -1, 0) == page);
        put_code(page, i * 5);
        CHECK(mprotect(page, 4096, RX) == 0 && run(page) == i * 5);
        CHECK(munmap(page, 4096) == 0);
    }
    page = mmap(page, 4096, RWX, PRIVATE | MAP_FIXED, -1, 0);
    int zeros = open("/dev/zero", O_RDONLY), number = 1234567;
    for (int i = 0; i < 50; i++) { /* the kernel writes the value */
        put_code(page, number + i);
        CHECK(run(page) == number + i);
        CHECK(read(zeros, page + 1, 4) == 4 && run(page) == 0);
    }
    /* a block that writes over its own next instruction: mov byte [rip + 1], 9; mov al, 5; movzx eax, al; ret */
    static const unsigned char own[] = {0xc6, 0x05, 1, 0, 0, 0, 9, 0xb0, 5, 0x0f, 0xb6, 0xc0, 0xc3};
    memcpy(page, own, sizeof own);
    CHECK(run(page) == 9 && run(page) == 9);
    puts("ok");
    return 0;
}
