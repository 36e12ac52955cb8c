/* getrandom: as many bytes as wanted, and not the same twice. */
#include "check.h"
#include <sys/random.h>

int main(void) {
    static unsigned char one[5000], two[5000];
    CHECK(getrandom(one, 5000, 0) == 5000 && getrandom(two, 5000, GRND_NONBLOCK) == 5000);
    CHECK(memcmp(one, two, 5000) != 0);
    int ones = 0;
    for (int i = 0; i < 5000; i++) ones += __builtin_popcount(one[i]);
    CHECK(ones > 19000 && ones < 21000);
    FAILS(syscall(SYS_getrandom, (void *)8, 16, 0), EFAULT);
    FAILS(syscall(SYS_getrandom, one, 16, 0xff), EINVAL);
    puts("ok");
    return 0;
}
