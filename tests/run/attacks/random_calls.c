/* System calls at random: plausible and wild arguments. For our kernel alone. Arguments: seed, how many.
   Whether it ends by itself or by a signal is no matter: the kernel must stand, and lose nothing. */
#include "check.h"
#include <fcntl.h>

enum { P = 4096, PAGES = 64 };

/* What is there now, with how each argument is made: a address, s size, f descriptor, p path, r rights, m flags of mmap,
   o offset, n small number, w anything. */
static const struct { int number; const char *arguments; } calls[] = {
    {SYS_read, "fas"}, {SYS_write, "fas"}, {SYS_open, "pnn"}, {SYS_close, "f"}, {SYS_stat, "pa"}, {SYS_fstat, "fa"}, {SYS_lstat, "pa"},
    {SYS_lseek, "fon"}, {SYS_mmap, "asrmfo"}, {SYS_mmap, "asrmfo"}, {SYS_mprotect, "asr"}, {SYS_mprotect, "asr"}, {SYS_munmap, "as"},
    {SYS_munmap, "as"}, {SYS_brk, "b"}, {SYS_brk, "b"}, {SYS_rt_sigaction, "naan"}, {SYS_rt_sigprocmask, "naan"}, {SYS_ioctl, "fwa"},
    {SYS_pread64, "faso"}, {SYS_readv, "fan"}, {SYS_writev, "fan"}, {SYS_access, "pn"}, {SYS_mremap, "assna"}, {SYS_madvise, "asn"},
    {SYS_dup, "f"}, {SYS_dup2, "ff"}, {SYS_dup3, "ffn"}, {SYS_getpid, ""}, {SYS_uname, "a"}, {SYS_fcntl, "fnw"}, {SYS_getcwd, "as"},
    {SYS_chdir, "p"}, {SYS_readlink, "pas"}, {SYS_umask, "n"}, {SYS_getrlimit, "na"}, {SYS_setrlimit, "na"}, {SYS_sigaltstack, "aa"},
    {SYS_arch_prctl, "wa"}, {SYS_set_tid_address, "a"}, {SYS_clock_gettime, "na"}, {SYS_openat, "fpnn"}, {SYS_newfstatat, "fpan"},
    {SYS_readlinkat, "fpas"}, {SYS_prlimit64, "nnaa"}, {SYS_getrandom, "asn"}, {SYS_getdents64, "fas"}, {SYS_set_robust_list, "an"},
    {SYS_pipe, "a"}, {SYS_execve, "paa"}, {SYS_rt_sigpending, "an"}, {SYS_msync, "asn"}, {SYS_mincore, "asa"}, {334, "anww"}};

static char *area;

static uint64_t size(void) {
    switch (below(6)) {
    case 0: return below(20);
    case 1: return (uint64_t)P << below(6);
    case 2: return next_random();
    case 3: return (uint64_t)1 << below(64);
    default: return below(6 * P);
    }
}

static uint64_t address(void) {
    static const uint64_t wild[] = {0, 8, 0x7ffffffff000, 0x7fffffffeff8, 0x800000000000, 0xFFFF800000100000, 0xFFFFFFFF801E0000, (uint64_t)-1};
    switch (below(12)) {
    case 0: return wild[below(8)];
    case 1: return next_random();
    case 2: return (uint64_t)area + below(PAGES * P);
    case 3: return (uint64_t)area + P * (1 + below(PAGES)) - 1 - below(16);
    default: return (uint64_t)area + P * below(PAGES);
    }
}

static uint64_t argument(char kind) {
    static const char *paths[] = {"/", "data", "folder", "/proc/self/maps", "/proc/self/exe", "/dev/zero", "/dev/null", "", "none", "link", "folder/../data"};
    static char *start;
    if (!start) start = (char *)syscall(SYS_brk, 0);
    switch (kind) {
    case 'a': return address();
    case 's': return size();
    case 'f': return below(8) == 0 ? next_random() : below(3) == 0 ? (uint64_t)-1 : below(20);
    case 'p': return below(4) == 0 ? address() : (uint64_t)paths[below(11)];
    case 'r': return below(20) == 0 ? next_random() : below(8);
    case 'm': return below(20) == 0 ? next_random() : (below(4) ? MAP_PRIVATE : MAP_SHARED) | (below(4) ? MAP_ANONYMOUS : 0);
    case 'o': return below(3) == 0 ? next_random() : below(2) ? P * below(8) : below(3 * P);
    case 'b': return below(8) == 0 ? next_random() : (uint64_t)start + below(40 * P);
    case 'n': return below(10) == 0 ? next_random() : below(66);
    default: return below(2) ? next_random() : below(0x6000);
    }
}

static int can_end_it(int number, const uint64_t *a) { /* what would only end the test early */
    if (number == SYS_mmap && a[3] & MAP_FIXED) return a[0] < (uint64_t)area || a[1] > 6 * P || a[0] + a[1] > (uint64_t)area + PAGES * P;
    if (number == SYS_munmap || number == SYS_mprotect || number == SYS_mremap)
        return a[0] < (uint64_t)area || a[1] > PAGES * P || a[0] + a[1] > (uint64_t)area + PAGES * P;
    if (number == SYS_arch_prctl) return a[0] == 0x1002; /* the base of thread-local variables */
    return number == SYS_dup2 || number == SYS_dup3 ? a[1] < 3 : number == SYS_close && a[0] < 3;
}

int main(int argc, char **argv) {
    random_state += (argc > 1 ? (uint64_t)atol(argv[1]) : 1) * 0x9E3779B97F4A7C15;
    long count = argc > 2 ? atol(argv[2]) : 1000, refused = 0;
    area = map_pages(PAGES, PROT_READ | PROT_WRITE);
    for (long i = 0; i < count; i++) {
        uint64_t a[6] = {0};
        unsigned which = (unsigned)below(sizeof calls / sizeof *calls);
        for (int j = 0; calls[which].arguments[j]; j++) a[j] = argument(calls[which].arguments[j]);
        if (can_end_it(calls[which].number, a)) continue;
        if (calls[which].number == SYS_read && a[0] == 0) continue;
        refused += syscall(calls[which].number, a[0], a[1], a[2], a[3], a[4], a[5]) == -1;
        if (below(50) == 0) for (int j = 0; j < PAGES; j++) /* use what is there */
            if (access(area + j * P, F_OK) == 0 || errno != EFAULT) syscall(SYS_clock_gettime, 1, area + j * P);
    }
    dprintf(2, "%ld calls, some refused: %d\n", count, refused > 0);
    return 0;
}
