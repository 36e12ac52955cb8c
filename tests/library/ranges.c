/* Calls about pages at the edges of the library's own ranges: refused inside, and under a second root as well.
 *
 * The model is the constants of the header, and intervals of positions: an address without its sign.
 */
#include "console.h"

enum { PAGE_BYTES = 4096, NR_STEPS = 8000 };

#define ADDRESS UINT64_C(0x000FFFFFFFFFF000)
#define MEMORY UINT64_C(0x3F00000000)
#define TOP ((uint64_t)1 << 63)

struct range {
    uint64_t start, end;
};

static struct incro_kernel state;
static struct incro_start_info_entry regions[MAX_REGIONS];
static uint64_t seed = 1;
static int nr_refused;

#if INCRO_MM_MODERN
static const struct range own[] = {{INCRO_DIRECT_MAP_START, INCRO_DIRECT_MAP_END}, {INCRO_SPACE_START, INCRO_SPACE_END}};
#else
static const struct range own[] = {{INCRO_POOL_START, INCRO_POOL_END},
                                   {INCRO_ZONE_START, INCRO_ZONE_END},
                                   {INCRO_HEAP_START, INCRO_HEAP_END}};
#endif
enum { NR_RANGES = sizeof own / sizeof own[0] };

static uint64_t draw(uint64_t nr_values)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % nr_values;
}

static void say(const char *what, bool is_so)
{
    put(what);
    put(is_so ? ": yes\n" : ": no\n");
}

static bool is_own(uint64_t va, uint64_t nbytes)
{
    uint64_t first = va ^ TOP, end = first + nbytes < first ? UINT64_MAX : first + nbytes;
    if (first - ((uint64_t)-1 << 47 ^ TOP) >= (uint64_t)1 << 48 || nbytes >= TOP)
        return false;
    for (int index = 0; index < NR_RANGES; index++) {
        uint64_t its_first = own[index].start ^ TOP, its_end = own[index].end ^ TOP;
        if ((first > its_first ? first : its_first) < (end < its_end ? end : its_end))
            return true;
    }
    return false;
}

/* Whether this kernel would cut the ground from under its feet. */
static bool is_image(uint64_t va, uint64_t nbytes)
{
    return va < (uint64_t)(uintptr_t)image_end && (va + nbytes > (uint64_t)(uintptr_t)image_start || va + nbytes < va);
}

/* Whether an answer is LIBRARY_RANGE where it has to be, and nowhere else. */
static bool is_right(int64_t code, uint64_t va, uint64_t nbytes)
{
    bool is_refused = is_own(va, nbytes);
    nr_refused += is_refused ? 1 : 0;
    return (code == INCRO_LIBRARY_RANGE) == is_refused;
}

/* An address near an edge of a range or of all addresses, most often a multiple of a page's size. */
static uint64_t draw_place(void)
{
    const uint64_t edges[] = {0, (uint64_t)1 << 47, (uint64_t)-1 << 47, TOP, TOP - PAGE_BYTES};
    uint64_t which = draw(NR_RANGES + 1);
    const struct range *range = &own[which % NR_RANGES];
    uint64_t edge = which == NR_RANGES ? edges[draw(5)] : draw(2) == 0 ? range->start : range->end;
    uint64_t distance = (uint64_t)PAGE_BYTES << 9 * draw(3);
    uint64_t at = edge + (draw(4) - 1) * distance;
    return draw(8) == 0 ? at + draw(PAGE_BYTES) : at;
}

static bool step(void)
{
    uint64_t va = draw_place(), flags = VMM_PRESENT | VMM_WRITABLE | VMM_NX;
    int64_t level = 1 + (int64_t)draw(3);
    uint64_t page = (uint64_t)PAGE_BYTES << 9 * (level - 1);
    uint64_t nbytes = draw(4) == 0 ? draw((uint64_t)1 << (1 + draw(63))) : draw(5) * page;
    uint64_t most = nbytes < (uint64_t)1 << 31 ? nbytes : 0; /* more is not mapped */
    if (is_image(va, PAGE_BYTES) || is_image(va, page) || is_image(va, nbytes))
        return true;
    return is_right(vmm_map_page(va, MEMORY, flags), va, PAGE_BYTES) &&
           is_right(vmm_protect_page(va, flags), va, PAGE_BYTES) && is_right(vmm_unmap_page(va), va, PAGE_BYTES) &&
           is_right(vmm_map_leaf(va, MEMORY, flags, level), va, page) &&
           is_right(vmm_protect_leaf(va, flags, level), va, page) && is_right(vmm_unmap_leaf(va, level), va, page) &&
           is_right(vmm_map_range(va, MEMORY, most, flags), va, most) &&
           is_right(vmm_protect_range(va, nbytes, flags), va, nbytes) &&
           is_right(vmm_unmap_range(va, nbytes), va, nbytes);
}

static bool all_steps(void)
{
    for (int number = 0; number < NR_STEPS; number++)
        if (!step())
            return false;
    return true;
}

#if INCRO_MM_MODERN
static void load(uint64_t root)
{
    __asm__ volatile("mov %0, %%cr3" : : "r"(root) : "memory");
}

static uint64_t second_root(uint64_t first)
{
    uint64_t root = (uint64_t)pmm_alloc_page();
    const uint64_t *from = (const uint64_t *)pmm_address_of(first);
    uint64_t *to = (uint64_t *)pmm_address_of(root);
    for (int index = 0; index < 512; index++)
        to[index] = from[index];
    return root;
}
#endif

void kmain(const struct start_info *info);

void kmain(const struct start_info *info)
{
    struct incro_start start = {0};
    start.regions = regions;
    start.nr_regions = list_regions(info, regions);
    start.hooks.panic = panic_hook;
    if (incro_mm_init(&state, &start) != INCRO_OK)
        end(FAILED);
    void *small = kmalloc(100), *large = kmalloc(300000);
    say("refused in its ranges alone", all_steps());
    say("often", nr_refused > NR_STEPS);
#if INCRO_MM_MODERN
    uint64_t own_root;
    __asm__ volatile("mov %%cr3, %0" : "=r"(own_root));
    load(second_root(own_root & ADDRESS));
    say("under another root", all_steps());
    load(own_root);
#endif
    bool is_whole = kfree(small) == INCRO_OK && kfree(large) == INCRO_OK && kfree(kmalloc(500000)) == INCRO_OK;
    say("nothing was destroyed", is_whole && pmm_check() == INCRO_OK && vmm_check() == INCRO_OK && heap_check() == INCRO_OK);
    end(PASSED);
}
