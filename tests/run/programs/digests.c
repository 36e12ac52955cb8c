/* SHA-256 of bytes from a generator: nothing but whole numbers. Argument: how many KiB. */
#include "check.h"

static uint32_t state[8], round_words[64];

static uint32_t turned(uint32_t x, int by) { return x >> by | x << (32 - by); }

/* The first 32 bits of the fractional parts of roots of the first primes: computed, not copied. */
static void make_constants(void) {
    int count = 0;
    for (int n = 2; count < 64; n++) {
        int is_prime = 1;
        for (int d = 2; d * d <= n; d++) if (n % d == 0) is_prime = 0;
        if (!is_prime) continue;
        __uint128_t low = 0, high = (__uint128_t)1 << 36; /* cube root of n, in units of 2**-32 */
        while (high - low > 1) {
            __uint128_t middle = (low + high) / 2;
            if (middle * middle / ((__uint128_t)1 << 32) * middle <= (__uint128_t)n << 64) low = middle; else high = middle;
        }
        round_words[count] = (uint32_t)low;
        if (count < 8) {
            low = 0, high = (__uint128_t)1 << 36;
            while (high - low > 1) {
                __uint128_t middle = (low + high) / 2;
                if (middle * middle <= (__uint128_t)n << 64) low = middle; else high = middle;
            }
            state[count] = (uint32_t)low;
        }
        count++;
    }
}

static void take(const uint8_t *block) {
    uint32_t w[64], a[8];
    for (int i = 0; i < 16; i++) w[i] = (uint32_t)block[i * 4] << 24 | (uint32_t)block[i * 4 + 1] << 16 | (uint32_t)block[i * 4 + 2] << 8 | block[i * 4 + 3];
    for (int i = 16; i < 64; i++)
        w[i] = w[i - 16] + (turned(w[i - 15], 7) ^ turned(w[i - 15], 18) ^ w[i - 15] >> 3) + w[i - 7] + (turned(w[i - 2], 17) ^ turned(w[i - 2], 19) ^ w[i - 2] >> 10);
    memcpy(a, state, sizeof a);
    for (int i = 0; i < 64; i++) {
        uint32_t one = a[7] + (turned(a[4], 6) ^ turned(a[4], 11) ^ turned(a[4], 25)) + ((a[4] & a[5]) ^ (~a[4] & a[6])) + round_words[i] + w[i];
        uint32_t two = (turned(a[0], 2) ^ turned(a[0], 13) ^ turned(a[0], 22)) + ((a[0] & a[1]) ^ (a[0] & a[2]) ^ (a[1] & a[2]));
        memmove(a + 1, a, 28);
        a[4] += one;
        a[0] = one + two;
    }
    for (int i = 0; i < 8; i++) state[i] += a[i];
}

int main(int argc, char **argv) {
    long blocks = (argc > 1 ? atol(argv[1]) : 64) * 16;
    uint8_t block[64];
    make_constants();
    for (long i = 0; i < blocks; i++) {
        for (int j = 0; j < 64; j += 8) {
            uint64_t value = next_random();
            memcpy(block + j, &value, 8);
        }
        take(block);
    }
    for (int i = 0; i < 8; i++) printf("%08x", state[i]);
    puts("");
    return 0;
}
