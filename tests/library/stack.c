/* How deep the library's calls reach into the stack: below a call, all is painted before it and looked at afterwards. */
#include "console.h"

enum { PAINTED = 6000, PAINT = 0xA5 };

static struct incro_kernel state;
static struct incro_start_info_entry regions[MAX_REGIONS];
static struct incro_start start;
static int64_t deepest, code;
static void *block, *range;

/* The bytes below this function's frame that a call changed; the return address of the call is one of its words. */
__attribute__((noinline, noipa)) static void measure(void (*call)(void))
{
    char *top;
    __asm__ volatile("mov %%rsp, %0" : "=r"(top));
    volatile char *bottom = top - PAINTED;
    for (int at = 0; at < PAINTED; at++)
        bottom[at] = (char)PAINT;
    call();
    int at = 0;
    while (at < PAINTED && bottom[at] == (char)PAINT)
        at++;
    if (PAINTED - at > deepest)
        deepest = PAINTED - at;
}

/* Each of these is a jump, so that what is measured is the library's. */
static void call_init(void) { code |= incro_mm_init(&state, &start); }
static void call_kmalloc(void) { block = kmalloc(100); }
static void call_kfree(void) { code |= kfree(block); }
static void call_large(void) { block = kmalloc(50000); }
static void call_krealloc(void) { block = krealloc(block, 90000); }
static void call_map(void) { code |= vmm_map_range(UINT64_C(0x600000000000), 0x200000, 3 << 20, VMM_PRESENT | VMM_NX); }
static void call_protect(void) { code |= vmm_protect_range(UINT64_C(0x600000001000), 4096, VMM_PRESENT); }
static void call_unmap(void) { code |= vmm_unmap_range(UINT64_C(0x600000000000), 3 << 20); }
static void call_check(void) { code |= heap_check() | pmm_check() | vmm_check(); }
#if INCRO_MM_MODERN
static void call_vmalloc(void) { range = vmalloc(5 << 20); }
static void call_vfree(void) { code |= vfree(range); }
#endif

void kmain(const struct start_info *info);

void kmain(const struct start_info *info)
{
    start.regions = regions;
    start.nr_regions = list_regions(info, regions);
    start.hooks.panic = panic_hook;
    void (*const calls[])(void) = {
        call_init, call_kmalloc, call_kfree, call_large, call_krealloc, call_kfree, call_map, call_protect, call_unmap,
#if INCRO_MM_MODERN
        call_vmalloc, call_vfree,
#endif
        call_check,
    };
    for (size_t index = 0; index < sizeof calls / sizeof *calls; index++)
        measure(calls[index]);
    (void)range;
    put_decimal(code);
    put(" ");
    put_decimal(deepest);
    put(" ");
    put_decimal(INCRO_MM_STACK_BYTES);
    put("\n");
    end(PASSED);
}
