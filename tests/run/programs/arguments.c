/* Prints its arguments and its environment. */
#include <stdio.h>

extern char **environ;

int main(int argc, char **argv) {
    printf("%d\n", argc);
    for (int i = 0; i < argc; i++) printf("<%s>\n", argv[i]);
    for (char **one = environ; *one; one++) printf("{%s}\n", *one);
    return argv[argc] != NULL;
}
