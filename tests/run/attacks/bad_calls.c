/* Each system call with each kind of bad pointer in each place: none may do more than answer. For our kernel alone: on
   another it would do whatever the calls do. The last line, on standard error, says how many came back. */
#include "check.h"
#include <fcntl.h>

enum { LAST = 460, KEPT = 100, P = 4096 };

static char *area; /* a page that can be read, and behind it a hole */
static unsigned char canary[8 * P];
static uint64_t kinds[12];

/* They end the program, wait for something, or come back somewhere else; fork and its kin have their own tests. */
static const int left_out[] = {SYS_exit, SYS_exit_group, SYS_rt_sigreturn, SYS_pause, SYS_rt_sigsuspend, SYS_kill, SYS_tkill,
    SYS_tgkill, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo, SYS_fork, SYS_vfork, SYS_clone, 435, 436, SYS_poll, SYS_ppoll, SYS_select,
    SYS_pselect6, SYS_nanosleep, SYS_clock_nanosleep, SYS_futex, SYS_wait4, SYS_waitid, SYS_alarm, SYS_setitimer, SYS_rt_sigtimedwait};

static int is_left_out(long number) {
    for (unsigned i = 0; i < sizeof left_out / sizeof *left_out; i++) if (left_out[i] == number) return 1;
    return 0;
}

static void make_area(void) {
    CHECK(mmap(area, P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == area);
    memset(area, 'a', P);
    CHECK(mprotect(area, P, PROT_READ) == 0 && munmap(area + P, P) == 0);
    for (int i = 0; i < 3; i++) CHECK(dup2(KEPT + i, i) == i);
}

static long call(long number, const uint64_t *a) {
    long result;
    register uint64_t r10 __asm__("r10") = a[3], r8 __asm__("r8") = a[4], r9 __asm__("r9") = a[5];
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

static long attack(long number) {
    long count = 0;
    for (int kind = 0; kind < 12; kind++)
        for (int place = 0; place < 7; place++) {
            uint64_t arguments[6] = {1, 1, 1, 1, 1, 1};
            for (int i = 0; i < 6; i++) if (place == i || place == 6) arguments[i] = kinds[kind];
            make_area();
            long result = call(number, arguments);
            CHECK(result >= 0 || result >= -4095);
            count++;
        }
    return count;
}

int main(void) {
    long count = 0, unknown = 0;
    uint64_t none[6] = {0};
    area = map_pages(2, PROT_READ);
    for (int i = 0; i < 3; i++) CHECK(dup2(i, KEPT + i) == KEPT + i);
    for (size_t i = 0; i < sizeof canary; i++) canary[i] = (unsigned char)(i * 13);
    const uint64_t all[] = {0, 8, (uint64_t)area, (uint64_t)area + P - 4, (uint64_t)area + P, 0x7ffffffff000 - 8, 0x7ffffffff000,
        0x800000000000, 0xFFFF7FFFFFFFFFF8, 0xFFFF800000100000, 0xFFFFFFFF801E0000, (uint64_t)-8};
    memcpy(kinds, all, sizeof all);
    for (long number = 0; number <= LAST; number++) {
        if (is_left_out(number)) continue;
        unknown += call(number, none) == -ENOSYS;
        count += attack(number);
    }
    for (long number = LAST + 1; number < LAST + 2000; number++) CHECK(call(number, kinds) == -ENOSYS);
    CHECK(call(-1, none) == -ENOSYS);
    for (size_t i = 0; i < sizeof canary; i++) CHECK(canary[i] == (unsigned char)(i * 13));
    make_area();
    dprintf(2, "%ld calls came back, %ld numbers are unknown\n", count, unknown);
    return 0;
}
