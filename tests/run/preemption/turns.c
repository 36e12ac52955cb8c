/* Two tasks that never wait, each writing a letter now and then: both get on.
   Arguments: letters, rounds before each; and another one: go on alone. */
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void spin(char letter, int nr_letters, long rounds)
{
    for (int i = 0; i < nr_letters; i++) {
        for (volatile long j = 0; j < rounds; j++)
            ;
        write(1, &letter, 1);
    }
}

int main(int argc, char **argv)
{
    int nr_letters = argc > 1 ? atoi(argv[1]) : 8;
    long rounds = argc > 2 ? atol(argv[2]) : 100000;
    if (fork() == 0) {
        spin('b', nr_letters, rounds);
        _exit(0);
    }
    spin('a', nr_letters, rounds);
    wait(NULL);
    if (argc > 3)
        spin('c', 3, rounds);
    return 0;
}
