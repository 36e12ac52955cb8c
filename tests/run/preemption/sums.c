/* Children that compute at the same time, with all registers alive: each finds what the parent found alone.
   Arguments: rounds; and another one: compute alone and end. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define NR_CHILDREN 4

typedef float four __attribute__((vector_size(16)));

/* General registers and flags, x87 and vectors in one loop; no call in it. */
static uint64_t sum(uint64_t seed, int rounds)
{
    uint64_t a = seed | 1, b = ~seed, c = seed << 7;
    double d = (double)(seed & 0xFF) + 0.5, e = 1.0 / 3;
    long double f = 1.0L + seed, g = 3.0L;
    four v = {seed, 1, 2, 3}, w = {0.5f, 0.25f, 1.5f, -1};
    for (int i = 0; i < rounds; i++) {
        a ^= a << 13, a ^= a >> 7, a ^= a << 17;
        b += a * 3 + (a > c), c = (c << 5 | c >> 59) ^ b;
        d = d * e + (double)(int32_t)a;
        f = f / g + (long double)(int32_t)b;
        v = v * w + (four){(float)(i & 15), 1, 2, 3};
    }
    uint64_t words[2];
    memcpy(words, &v, sizeof words);
    union { double number; uint64_t word; } bits = {d};
    return a ^ b ^ c ^ bits.word ^ (uint64_t)(int64_t)(f * 1024) ^ words[0] ^ words[1];
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 300000, nr_wrong = 0;
    uint64_t alone[NR_CHILDREN];
    for (int i = 0; i < NR_CHILDREN; i++) {
        alone[i] = sum(i + 1, rounds);
        printf("%d %016llx\n", i, (unsigned long long)alone[i]);
    }
    if (argc > 2)
        return 0;
    fflush(stdout);
    for (int i = 0; i < NR_CHILDREN; i++)
        if (fork() == 0)
            _exit(sum(i + 1, rounds) != alone[i]);
    for (int i = 0; i < NR_CHILDREN; i++) {
        int status;
        wait(&status);
        nr_wrong += status != 0;
    }
    printf("wrong: %d\n", nr_wrong);
    return nr_wrong;
}
