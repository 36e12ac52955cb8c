/* The least: a line, and a status. */
#include <stdio.h>

int main(void) {
    puts("hello from ring 3");
    return 7;
}
