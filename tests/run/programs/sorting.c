/* qsort, bsearch, and a hash table of words. */
#include "check.h"

struct word { char text[24]; unsigned count; };
static struct word words[4096];

static int by_text(const void *a, const void *b) { return strcmp(((const struct word *)a)->text, ((const struct word *)b)->text); }
static int by_number(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

int main(void) {
    uint64_t *numbers = malloc(20000 * sizeof *numbers);
    for (int i = 0; i < 20000; i++) numbers[i] = next_random();
    qsort(numbers, 20000, sizeof *numbers, by_number);
    for (int i = 1; i < 20000; i++) CHECK(numbers[i - 1] <= numbers[i]);
    CHECK(bsearch(&numbers[777], numbers, 20000, sizeof *numbers, by_number) == &numbers[777]);
    int used = 0;
    for (int i = 0; i < 10000; i++) {
        char text[24];
        snprintf(text, sizeof text, "%x-%o", (unsigned)below(1500), i % 2);
        unsigned slot = 0;
        for (char *c = text; *c; c++) slot = slot * 31 + (unsigned)*c;
        for (slot %= 4096; words[slot].count && strcmp(words[slot].text, text); slot = (slot + 1) % 4096) {}
        if (!words[slot].count++) { strcpy(words[slot].text, text); used++; }
    }
    qsort(words, 4096, sizeof *words, by_text);
    printf("%d words, %s to %s, %llx\n", used, words[4096 - used].text, words[4095].text, (unsigned long long)numbers[9999]);
    free(numbers);
    return 0;
}
