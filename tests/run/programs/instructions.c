/* Instructions that go wrong in emulators: strings and words over pages that are not there yet, code that runs from one
   page into the next, what a call of the kernel must keep, and arithmetic that few programs use. Argument: bzhi, avx. */
#include "check.h"

enum { P = 4096 };

static uint64_t hash_of(const void *bytes, size_t nbytes) {
    uint64_t hash = 14695981039346656037u;
    for (const unsigned char *at = bytes; nbytes; nbytes--) hash = (hash ^ *at++) * 1099511628211u;
    return hash;
}

static void strings(void) {
    char *from = map_pages(8, PROT_READ | PROT_WRITE), *to = map_pages(8, PROT_READ | PROT_WRITE), *d = to + 5, *s = from + 3;
    long count = 7 * P;
    for (int i = 0; i < 8 * P; i += 7) from[i] = (char)i;
    __asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(count) : : "memory");
    printf("movsb %ld %ld %ld %lx\n", (long)(d - to), (long)(s - from), count, (long)hash_of(to, 8 * P));
    to = map_pages(4, PROT_READ | PROT_WRITE), d = to + 4 * P - 1, s = from + 4 * P, count = 3 * P;
    __asm__ volatile("std; rep movsb; cld" : "+D"(d), "+S"(s), "+c"(count) : : "memory");
    printf("downwards %ld %ld %ld %lx\n", (long)(d - to), (long)(s - from), count, (long)hash_of(to, 4 * P));
    to = map_pages(4, PROT_READ | PROT_WRITE), d = to + 1, count = 2000;
    __asm__ volatile("rep stosq" : "+D"(d), "+c"(count) : "a"(0x0123456789abcdef) : "memory");
    printf("stosq %ld %lx\n", (long)(d - to), (long)hash_of(to, 4 * P));
    to = map_pages(4, PROT_READ | PROT_WRITE), d = to, count = 4 * P;
    __asm__ volatile("repe scasb" : "+D"(d), "+c"(count) : "a"(0) : "memory", "cc");
    printf("scasb %ld %ld\n", (long)(d - to), count);
}

static void straddling(void) {
    char *at = map_pages(5, PROT_READ | PROT_WRITE);
    volatile uint64_t *stored = (void *)(at + P - 3), *loaded = (void *)(at + 2 * P - 1), *locked = (void *)(at + 3 * P - 5);
    *stored = 0x1122334455667788;
    printf("straddling %lx %lx", (long)*stored, (long)*loaded);
    __asm__ volatile("lock addq $7, %0; movups -9(%1), %%xmm0; movups %%xmm0, 4*4096-7(%2)"
                     : "+m"(*locked) : "r"(at + P), "r"(at) : "xmm0", "memory");
    printf(" %lx\n", (long)hash_of(at, 5 * P));
}

static void over_the_end_of_a_page(void) { /* mov rax, constant; ret */
    static const unsigned char code[] = {0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8, 0xc3};
    for (int before = 0; before <= 11; before++) {
        unsigned char *page = (unsigned char *)map_pages(2, PROT_READ | PROT_WRITE | PROT_EXEC);
        memcpy(page + P - before, code, 11);
        CHECK(((uint64_t(*)(void))(page + P - before))() == 0x0807060504030201);
    }
    unsigned char *next = (unsigned char *)map_pages(1, PROT_READ | PROT_WRITE | PROT_EXEC);
    memcpy(next, (unsigned char[]){0xc6, 5, 1, 0, 0, 0, 0x55, 0xb8, 0x11, 0, 0, 0, 0xc3}, 13); /* changes the next one */
    printf("same block %x\n", ((int (*)(void))next)());
    unsigned char *many = (unsigned char *)map_pages(40, PROT_READ | PROT_WRITE | PROT_EXEC), *at = many;
    *at++ = 0x31, *at++ = 0xc0;
    for (int i = 0; i < 50000; i++) *at++ = 0x83, *at++ = 0xc0, *at++ = 1; /* add eax, 1 */
    *at = 0xc3;
    for (int i = 0; i < 2; i++) printf("straight %d\n", ((int (*)(void))many)());
}

static void kept_by_a_call(void) {
    uint64_t flags, deep;
    double one, other;
    __asm__ volatile("std; syscall; pushfq; cld; pop %0" : "=r"(flags) : "a"(SYS_getppid) : "rcx", "r11", "memory");
    __asm__ volatile("fldpi; fldl2e; mov $0x1020304050607080, %%rcx; movq %%rcx, %%xmm15; syscall; movq %%xmm15, %0;"
                     "fstpl %1; fstpl %2" : "=r"(deep), "=m"(one), "=m"(other) : "a"(SYS_getppid) : "rcx", "r11", "memory", "xmm15");
    printf("kept %d %lx %.17g %.17g\n", (int)(flags >> 10 & 1), (long)deep, one, other);
    for (unsigned mode = 0; mode < 4; mode++) {
        uint16_t control = (uint16_t)(0x37f | mode << 10), usual = 0x37f;
        uint32_t mxcsr = 0x1f80 | mode << 13, usual_mxcsr = 0x1f80;
        volatile double value = -2.5;
        int by_sse, by_x87;
        __asm__ volatile("fldcw %0; ldmxcsr %1" : : "m"(control), "m"(mxcsr));
        getppid();
        __asm__ volatile("cvtsd2si %2, %0; fldl %2; fistpl %1" : "=&r"(by_sse), "=m"(by_x87) : "m"(value));
        __asm__ volatile("fldcw %0; ldmxcsr %1" : : "m"(usual), "m"(usual_mxcsr));
        printf("rounded %d %d\n", by_sse, by_x87);
    }
}

#define OPERATION(text) do { \
        __asm__ volatile(text : "=&r"(r) : "r"(a), "r"(b) : "cc", "rdx", "rcx"); \
        printf("%s: %lx\n", text, (long)r); \
    } while (0)

static void arithmetic(void) {
    uint64_t a = 0x123456789abcdef0, b = 0xf0f0f0f00f0f0f07, r;
    OPERATION("mov %1, %0; crc32q %2, %0"); OPERATION("popcnt %1, %0"); OPERATION("lzcnt %1, %0"); OPERATION("tzcnt %1, %0");
    OPERATION("andn %1, %2, %0"); OPERATION("pext %1, %2, %0"); OPERATION("pdep %1, %2, %0"); OPERATION("rorx $13, %1, %0");
    OPERATION("shlx %1, %2, %0"); OPERATION("sarx %1, %2, %0"); OPERATION("bextr %1, %2, %0"); OPERATION("blsr %1, %0");
    OPERATION("bzhi %2, %1, %0"); OPERATION("mov %1, %0; bswap %0"); OPERATION("mov %1, %0; shld $9, %2, %0");
    OPERATION("mov %1, %0; stc; rcl $5, %0"); OPERATION("mov %1, %0; bts %2, %0"); OPERATION("mov %1, %%rdx; mulx %2, %%rcx, %0");
    __int128 pair __attribute__((aligned(16))) = 5;
    for (int i = 0; i < 2; i++) {
        uint64_t low = 5, high = 0;
        __asm__ volatile("lock cmpxchg16b %0" : "+m"(pair), "+a"(low), "+d"(high) : "b"(77ul), "c"(88ul) : "cc");
        printf("cmpxchg16b %ld %ld %ld %ld\n", (long)pair, (long)(pair >> 64), (long)low, (long)high);
    }
    char text[16] = "hello world", part[16] = "lo w", mixed[16];
    int index;
    __asm__ volatile("movups %2, %%xmm0; movups %3, %%xmm1; pcmpistri $0x0c, %%xmm0, %%xmm1; mov %%ecx, %0;"
                     "aesenc %%xmm1, %%xmm0; pclmulqdq $0x10, %%xmm1, %%xmm0; pshufb %%xmm1, %%xmm0; movups %%xmm0, %1"
                     : "=&r"(index), "=m"(mixed) : "m"(text), "m"(part) : "rcx", "xmm0", "xmm1");
    printf("pcmpistri %d, mixed %lx\n", index, (long)hash_of(mixed, 16));
}

int main(int argc, char **argv) {
    uint64_t a = ~0ul, b = 64, r;
    if (argc == 2 && !strcmp(argv[1], "bzhi")) OPERATION("bzhi %2, %1, %0");
    else if (argc == 2) OPERATION("mov $5, %%ecx; movq %%rcx, %%xmm1; movq %1, %%xmm2; vpaddq %%xmm1, %%xmm1, %%xmm2; movq %%xmm2, %0");
    else strings(), straddling(), over_the_end_of_a_page(), kept_by_a_call(), arithmetic();
    return 0;
}
