/* What a hosted heap needs of C: the thread's heap, memory from the system, errno, and malloc's names. All else is
 * kernel Python (kernel/hosted/), which is linked with this file. With INCRO_MALLOC it takes malloc's names, too. */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "incro_heap.h"

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define EXPORT __attribute__((visibility("default")))
#define COLD __attribute__((cold, noinline))
#define PAGE ((size_t)4096)

typedef int64_t word;
struct kernel; /* the Kernel struct, at the start of its slot */

/* kernel/hosted/front.py */
#pragma GCC visibility push(hidden)
extern void incro_k_init(struct kernel *, word slot_bytes, word release, word commit, word stop);
extern void *incro_k_malloc(struct kernel *, word nbytes);
extern void incro_k_free(struct kernel *, void *);
extern void *incro_k_calloc(struct kernel *, word nr_items, word item_bytes);
extern void *incro_k_realloc(struct kernel *, void *, word nbytes);
extern void *incro_k_memalign(struct kernel *, word alignment, word nbytes);
extern word incro_k_usable_bytes(struct kernel *, void *);
#pragma GCC visibility pop

static __thread struct kernel *own __attribute__((tls_model("initial-exec")));

/* ------------------------------------------------------------------ what the kernel asks for through call4 */
static word release(word start, word nbytes, word unused, word unused_too)
{
    (void)unused, (void)unused_too;
    return madvise((void *)start, (size_t)nbytes, MADV_DONTNEED);
}

static word commit(word start, word nbytes, word unused, word unused_too)
{
    (void)unused, (void)unused_too;
    return mprotect((void *)start, (size_t)nbytes, PROT_READ | PROT_WRITE);
}

static word stop(word text, word nbytes, word unused, word unused_too)
{
    (void)unused, (void)unused_too;
    static const char name[] = "incro_heap: ";
    ssize_t written = write(STDERR_FILENO, name, sizeof name - 1);
    written = write(STDERR_FILENO, (const void *)text, (size_t)nbytes);
    written = write(STDERR_FILENO, "\n", 1);
    (void)written;
    abort();
}

/* ------------------------------------------------------------------ a heap for this thread */
static struct kernel *only;

COLD static struct kernel *begin(void)
{
    if (only == NULL) {
        size_t slot_bytes = (size_t)64 << 30;
        void *slot = mmap(NULL, slot_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (slot == MAP_FAILED)
            return NULL;
        only = slot;
        (void)commit;
        incro_k_init(only, (word)slot_bytes, (word)(uintptr_t)release, 0, (word)(uintptr_t)stop);
    }
    own = only;
    return own;
}

static inline struct kernel *heap_of_thread(void)
{
    struct kernel *heap = own;
    return LIKELY(heap != NULL) ? heap : begin();
}

/* ------------------------------------------------------------------ the calls */
COLD static void *none(void)
{
    errno = ENOMEM;
    return NULL;
}

COLD static void *malloc_rarely(size_t nbytes)
{
    struct kernel *heap = heap_of_thread();
    void *ptr = heap ? incro_k_malloc(heap, nbytes != 0 ? (word)nbytes : 1) : NULL;
    return ptr != NULL ? ptr : none();
}

EXPORT void *incro_malloc(size_t nbytes)
{
    struct kernel *heap = own;
    if (UNLIKELY(heap == NULL))
        return malloc_rarely(nbytes);
    void *ptr = incro_k_malloc(heap, (word)nbytes);
    return LIKELY(ptr != NULL) ? ptr : malloc_rarely(nbytes);
}

EXPORT void incro_free(void *ptr)
{
    struct kernel *heap = own;
    if (UNLIKELY(heap == NULL)) {
        if (ptr == NULL || (heap = begin()) == NULL)
            return;
    }
    incro_k_free(heap, ptr);
}

EXPORT void *incro_calloc(size_t nr_items, size_t item_bytes)
{
    size_t nbytes;
    if (UNLIKELY(__builtin_mul_overflow(nr_items, item_bytes, &nbytes)))
        return none();
    struct kernel *heap = heap_of_thread();
    void *ptr = heap ? incro_k_calloc(heap, 1, nbytes != 0 ? (word)nbytes : 1) : NULL;
    return LIKELY(ptr != NULL) ? ptr : none();
}

EXPORT void *incro_realloc(void *ptr, size_t nbytes)
{
    if (ptr == NULL)
        return incro_malloc(nbytes);
    if (nbytes == 0) {
        incro_free(ptr);
        return NULL;
    }
    struct kernel *heap = heap_of_thread();
    void *new = heap ? incro_k_realloc(heap, ptr, (word)nbytes) : NULL;
    return LIKELY(new != NULL) ? new : none();
}

EXPORT void *incro_memalign(size_t alignment, size_t nbytes)
{
    if (alignment == 0 || (alignment & (alignment - 1)) != 0) {
        errno = EINVAL;
        return NULL;
    }
    struct kernel *heap = heap_of_thread();
    void *ptr = heap ? incro_k_memalign(heap, (word)alignment, nbytes != 0 ? (word)nbytes : 1) : NULL;
    return ptr != NULL ? ptr : none();
}

EXPORT size_t incro_malloc_usable_size(void *ptr)
{
    struct kernel *heap = heap_of_thread();
    return ptr != NULL && heap != NULL ? (size_t)incro_k_usable_bytes(heap, ptr) : 0;
}

#ifdef INCRO_MALLOC
EXPORT void *malloc(size_t nbytes) __attribute__((alias("incro_malloc")));
EXPORT void free(void *ptr) __attribute__((alias("incro_free")));
EXPORT void *calloc(size_t nr_items, size_t item_bytes) __attribute__((alias("incro_calloc")));
EXPORT void *realloc(void *ptr, size_t nbytes) __attribute__((alias("incro_realloc")));
EXPORT void *memalign(size_t alignment, size_t nbytes) __attribute__((alias("incro_memalign")));
EXPORT void *aligned_alloc(size_t alignment, size_t nbytes) __attribute__((alias("incro_memalign")));
EXPORT size_t malloc_usable_size(void *ptr) __attribute__((alias("incro_malloc_usable_size")));

EXPORT int posix_memalign(void **result, size_t alignment, size_t nbytes)
{
    if (alignment < sizeof(void *) || (alignment & (alignment - 1)) != 0)
        return EINVAL;
    int before = errno; /* which this call leaves alone */
    void *ptr = incro_memalign(alignment, nbytes);
    errno = before;
    if (ptr == NULL)
        return ENOMEM;
    *result = ptr;
    return 0;
}

EXPORT void *valloc(size_t nbytes)
{
    return incro_memalign(PAGE, nbytes);
}

EXPORT void *pvalloc(size_t nbytes)
{
    return nbytes > SIZE_MAX - PAGE ? none() : incro_memalign(PAGE, (nbytes + PAGE - 1) & -PAGE);
}

EXPORT void *reallocarray(void *ptr, size_t nr_items, size_t item_bytes)
{
    size_t nbytes;
    return __builtin_mul_overflow(nr_items, item_bytes, &nbytes) ? none() : incro_realloc(ptr, nbytes);
}
#endif
