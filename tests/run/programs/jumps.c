/* setjmp and longjmp over many frames, also with the mask of signals. */
#include "check.h"
#include <setjmp.h>
#include <signal.h>

static jmp_buf plain;
static sigjmp_buf with_mask;

static int down(int depth, int value) {
    volatile char frame[200];
    frame[depth % 200] = (char)depth;
    if (depth == 0) longjmp(plain, value);
    return down(depth - 1, value) + frame[depth % 200];
}

int main(void) {
    volatile double kept = 1.25;
    volatile int rounds = 0;
    for (volatile int i = 1; i <= 1000; i++) {
        int found = setjmp(plain);
        if (found == 0) down(i % 50, i);
        CHECK(found == i);
        rounds++;
        kept *= 1.001;
    }
    printf("%d rounds, %.12g\n", rounds, kept);
    sigset_t one, now;
    sigemptyset(&one);
    sigaddset(&one, SIGUSR1);
    if (sigsetjmp(with_mask, 1) == 0) {
        CHECK(sigprocmask(SIG_BLOCK, &one, NULL) == 0);
        siglongjmp(with_mask, 5);
    }
    CHECK(sigprocmask(SIG_BLOCK, NULL, &now) == 0 && !sigismember(&now, SIGUSR1));
    puts("the mask is as before");
    return 0;
}
