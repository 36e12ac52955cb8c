/* Functions of strings and memory, at all alignments and across pages, and scanning and printing. */
#include "check.h"
#include <ctype.h>
#include <wchar.h>

int main(void) {
    char *pages = map_pages(4, PROT_READ | PROT_WRITE), *edge = pages + 3 * 4096;
    CHECK(mprotect(edge, 4096, PROT_NONE) == 0); /* what reads beyond the end faults */
    for (int n = 0; n < 80; n++) {
        char *at = edge - n - 1;
        memset(at, 'a', (size_t)n);
        at[n] = 0;
        CHECK(strlen(at) == (size_t)n && strchr(at, 'b') == NULL && memchr(at, 'b', (size_t)n + 1) == NULL);
        char copy[100], *end = stpcpy(copy, at);
        CHECK(end == copy + n && strcmp(copy, at) == 0 && memcmp(copy, at, (size_t)n) == 0);
        memmove(pages + 5, pages + 4096 - n, (size_t)n * 2);
    }
    for (int i = 0; i < 4096; i++) pages[i] = (char)(i * 7);
    memmove(pages + 100, pages, 3000);
    for (int i = 0; i < 3000; i++) CHECK(pages[100 + i] == (char)(i * 7));
    char line[] = "one two,three;;four", *rest;
    for (char *part = strtok_r(line, " ,;", &rest); part; part = strtok_r(NULL, " ,;", &rest)) printf("<%s>", part);
    int number;
    char word[20];
    double value;
    CHECK(sscanf("  42 apples at 2.50 each", "%d %19s at %lf", &number, word, &value) == 3);
    printf("\n%d %s %.2f %s\n", number, word, value, strstr("a needle in hay", "needle"));
    printf("%5d|%-5d|%05d|%x|%#o|%c|%10.3s|%p|%zu|%lld\n", 42, 42, 42, 255, 8, 'x', "abcdef", (void *)0x1234, sizeof(long), -1LL);
    printf("%ls %d %s\n", L"wide", (int)wcslen(L"five!"), strerror(ENOENT));
    printf("%ld %lu %ld\n", strtol("-0x1f", NULL, 0), strtoul("777", NULL, 8), atol("12abc"));
    return 0;
}
