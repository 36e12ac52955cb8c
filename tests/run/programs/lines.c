/* Lines of the input by stdio, backwards. */
#include "check.h"

int main(void) {
    char *lines[1000], *line = NULL;
    size_t room = 0;
    int count = 0;
    while (count < 1000 && getline(&line, &room, stdin) > 0) lines[count++] = strdup(line);
    while (count > 0) fputs(lines[--count], stdout);
    free(line);
    return feof(stdin) ? 0 : 1;
}
