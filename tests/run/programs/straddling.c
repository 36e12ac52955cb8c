/* An instruction goes on in a page that is not there yet; behind it many pages are read, and one written that may not
   be. The address of that write is told, whatever was looked at on the way. */
#include "check.h"
#include <setjmp.h>
#include <signal.h>

#define PAGE 4096l
#define STRIDE (PAGE << 12)

static sigjmp_buf back;
static char *volatile address;

static void note(int number, siginfo_t *about, void *context) {
    (void)number, (void)context;
    address = about->si_addr;
    siglongjmp(back, 1);
}

int main(void) {
    static const unsigned char code[] = {
        0x41, 0xc1, 0xfa, 0x1f,                                                 /* sar $31, %r10d */
        0x48, 0x8b, 0x07, 0x48, 0x01, 0xd7, 0xff, 0xc9, 0x75, 0xf6,             /* 1: mov (%rdi), %rax; add %rdx, %rdi; dec %ecx; jne 1b */
        0x48, 0x89, 0x46, 0x18, 0xc3};                                          /* mov %rax, 24(%rsi); ret */
    int file = memfd_create("code", 0);
    CHECK(file >= 0 && ftruncate(file, 32 * PAGE) == 0);
    CHECK(pwrite(file, code, sizeof code, 16 * PAGE - 2) == sizeof code);
    struct sigaction action = {.sa_sigaction = note, .sa_flags = SA_SIGINFO};
    CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
    char *room = mmap(NULL, 26 * STRIDE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(room != MAP_FAILED);
    for (int count = 1; count <= 24; count++) {
        char *text = mmap(NULL, 32 * PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0);
        CHECK(text != MAP_FAILED);
        char *data = room + ((uintptr_t)(text + 15 * PAGE) - (uintptr_t)room) % STRIDE; /* with the same place in any cache */
        for (int i = 0; i < 24; i++) CHECK(((volatile char *)data)[i * STRIDE] == 0);
        void (*run)(char *, char *, long, long) = (void (*)(char *, char *, long, long))(void *)(text + 16 * PAGE - 2);
        if (sigsetjmp(back, 1) == 0) run(data, data + PAGE, STRIDE, count);
        printf("%d: %ld\n", count, (long)(address - data));
    }
    return 0;
}
