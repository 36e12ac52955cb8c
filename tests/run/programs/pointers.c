/* Pointers of calls: pages that nobody has touched, over the ends of pages, without rights, and none at all. */
#include "check.h"
#include <fcntl.h>
#include <sys/uio.h>

int main(void) {
    char *pages = map_pages(8, PROT_READ | PROT_WRITE);
    int zeros = open("/dev/zero", O_RDONLY), null = open("/dev/null", O_WRONLY), data = open("data", O_RDONLY);
    CHECK(zeros >= 0 && null >= 0 && data >= 0);
    CHECK(write(1, pages + 4000, 5000) == 5000);
    CHECK(read(zeros, pages + 4096 * 5 - 10, 4096 + 20) == 4096 + 20);
    CHECK(pread(data, pages + 3 * 4096 - 100, 8200, 0) == 8200 && pages[3 * 4096 - 99] == 7);
    CHECK(mprotect(pages + 4096, 4096, PROT_READ) == 0 && munmap(pages + 7 * 4096, 4096) == 0);
    FAILS(pread(data, pages + 4096, 10, 0), EFAULT);
    FAILS(pread(data, pages + 7 * 4096, 10, 0), EFAULT);
    FAILS(pread(data, (void *)8, 10, 0), EFAULT);
    FAILS(pread(data, (void *)0xFFFFFFFF80100000, 10, 0), EFAULT);
    FAILS(pread(data, (void *)0x800000000000, 10, 0), EFAULT);
    FAILS(write(1, pages + 7 * 4096, 10), EFAULT);
    FAILS(write(1, (void *)0xFFFF800000100000, 10), EFAULT);
    FAILS(open((char *)8, O_RDONLY), EFAULT);
    FAILS(open(pages + 7 * 4096, O_RDONLY), EFAULT);
    memset(pages + 7 * 4096 - 20, 'x', 20); /* a name that does not end before the hole */
    FAILS(open(pages + 7 * 4096 - 20, O_RDONLY), EFAULT);
    pages[7 * 4096 - 1] = 0;
    FAILS(open(pages + 7 * 4096 - 20, O_RDONLY), ENOENT);
    memset(pages + 2 * 4096, 'y', 5000);
    FAILS(open(pages + 2 * 4096, O_RDONLY), ENAMETOOLONG);
    FAILS(syscall(SYS_fstat, 1, pages + 4096), EFAULT);
    FAILS(writev(1, (struct iovec *)(pages + 7 * 4096 - 8), 1), EFAULT);
    FAILS(syscall(SYS_writev, 1, pages, -1), EINVAL);
    struct iovec bad = {pages, (size_t)-1};
    FAILS(writev(1, &bad, 1), EINVAL);
    FAILS(syscall(SYS_rt_sigprocmask, 0, (void *)8, NULL, 8), EFAULT);
    FAILS(syscall(SYS_rt_sigaction, 10, (void *)8, NULL, 8), EFAULT);
    FAILS(syscall(SYS_rt_sigaction, 9, pages, NULL, 8), EINVAL);
    FAILS(syscall(SYS_uname, (void *)8), EFAULT);
    FAILS(syscall(SYS_readlink, "/proc/self/exe", (void *)8, 5), EFAULT);
    FAILS(syscall(5000), ENOSYS);
    puts("ok");
    return 0;
}
