/* Mistakes with blocks of a hardened heap: OVERRUN, DOUBLE_FREE or WILD_FREE, made in ask() and give_back(). */
#include "console.h"

static struct incro_kernel state;
static struct incro_start_info_entry regions[MAX_REGIONS];

static uint64_t nr_locked;

static uint64_t lock_hook(void *context)
{
    (void)context;
    return ++nr_locked;
}

static void unlock_hook(void *context, uint64_t locked)
{
    (void)context;
    (void)locked;
}

__attribute__((noinline, noipa)) void *ask(size_t nbytes);
__attribute__((noinline, noipa)) void give_back(void *ptr);

void *ask(size_t nbytes)
{
    void *block = kmalloc(nbytes);
    put(block != NULL ? "given\n" : "not given\n");
    return block;
}

void give_back(void *ptr)
{
    int64_t code = kfree(ptr);
    put_decimal(code);
    put(": taken back\n");
}

void kmain(const struct start_info *info);

void kmain(const struct start_info *info)
{
    struct incro_start start = {0};
    start.regions = regions;
    start.nr_regions = list_regions(info, regions);
    start.hooks.write = write_hook;
    start.hooks.panic = panic_hook;
#if defined(LOCKED)
    start.hooks.lock = lock_hook;
    start.hooks.unlock = unlock_hook;
#else
    (void)lock_hook;
    (void)unlock_hook;
#endif
    if (incro_mm_init(&state, &start) != INCRO_OK)
        end(FAILED);
    char *block = ask(100);
    put_hex((uint64_t)(uintptr_t)block);
    put("\n");
#if defined(OVERRUN)
    block[100] = 'A';
    give_back(block);
#elif defined(DOUBLE_FREE)
    give_back(block);
    give_back(block);
#elif defined(WILD_FREE)
    give_back(&state);
#endif
    end(PASSED);
}
