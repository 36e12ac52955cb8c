/* Clocks never go back, and say that it is after 2020 and the same second in all. */
#include "check.h"
#include <sys/time.h>
#include <time.h>

int main(void) {
    struct timespec before = {0, 0}, now;
    for (int i = 0; i < 2000; i++) {
        CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0 && now.tv_nsec >= 0 && now.tv_nsec < 1000000000);
        CHECK(now.tv_sec > before.tv_sec || (now.tv_sec == before.tv_sec && now.tv_nsec >= before.tv_nsec));
        before = now;
    }
    struct timeval day;
    time_t seconds = time(NULL);
    CHECK(clock_gettime(CLOCK_REALTIME, &now) == 0 && gettimeofday(&day, NULL) == 0);
    CHECK(seconds > 1577836800 && now.tv_sec - seconds <= 1 && day.tv_sec - now.tv_sec <= 1);
    CHECK(clock_getres(CLOCK_MONOTONIC, &now) == 0 && clock() != (clock_t)-1);
    FAILS(syscall(SYS_clock_gettime, 12345, &now), EINVAL);
    FAILS(syscall(SYS_clock_gettime, CLOCK_REALTIME, (void *)8), EFAULT);
    puts("ok");
    return 0;
}
