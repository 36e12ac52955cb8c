/* What the library answers before its start, to wrong arguments of it, out of order, and a second time. */
#include "console.h"

static struct incro_kernel state, other;
static struct incro_start_info_entry regions[MAX_REGIONS];

static void told(const char *what, int64_t code)
{
    put(what);
    put(" ");
    put_decimal(code);
    put("\n");
}

static int64_t start_with(struct incro_start start)
{
    return pmm_init(&state, &start);
}

void kmain(const struct start_info *info);

void kmain(const struct start_info *info)
{
    struct incro_start start = {0};
    start.regions = regions;
    start.nr_regions = list_regions(info, regions);
    start.hooks.write = write_hook;
    start.hooks.panic = panic_hook;

    told("kmalloc", kmalloc(100) == NULL);
    told("kfree", kfree(NULL));
    told("kfree", kfree(&state));
    told("usable", (int64_t)kmalloc_usable_size(&state));
    told("owns", heap_owns(&state));
    told("alloc_page", pmm_alloc_page());
    told("free frames", pmm_nr_free_frames());
    told("map_page", vmm_map_page(0x40000000, 0x200000, VMM_PRESENT));
    told("vmm_init", vmm_init());
    told("heap_init", heap_init());

    struct incro_start wrong = start;
    wrong.regions = NULL;
    told("no regions", start_with(wrong));
    wrong = start;
    wrong.nr_regions = 0;
    told("no regions", start_with(wrong));
    wrong.nr_regions = UINT64_MAX;
    told("many regions", start_with(wrong));
    wrong = start;
    wrong.hooks.panic = NULL;
    told("no panic hook", start_with(wrong));
    wrong = start;
    wrong.hooks.lock = (uint64_t (*)(void *))(uintptr_t)kmain;
    told("half a lock", start_with(wrong));
    wrong = start;
    wrong.window = INCRO_MM_CLASSIC ? 0x1000 : 0;
    told("window", INCRO_MM_CLASSIC ? start_with(wrong) : INCRO_BAD_START);
    told("no state", pmm_init(NULL, &start));
    told("odd state", pmm_init((struct incro_kernel *)(uintptr_t)((char *)&state + 4), &start));
    told("no start", pmm_init(&state, NULL));
    told("still not", pmm_alloc_page());

    told("pmm_init", pmm_init(&state, &start));
    told("again", pmm_init(&state, &start));
    told("other", pmm_init(&other, &start));
    told("heap_init", heap_init());
    told("alloc_page", pmm_alloc_page());
    told("vmm_init", vmm_init());
    told("again", vmm_init());
    told("kmalloc", kmalloc(100) == NULL);
    told("heap_init", heap_init());
    void *block = kmalloc(100);
    int64_t free_frames = pmm_nr_free_frames(), used = heap_used_bytes();
    told("kmalloc", block == NULL);
    told("again", heap_init());
    told("again", vmm_init());
    told("again", incro_mm_init(&state, &start));
    told("other", incro_mm_init(&other, &start));
    told("nothing changed", free_frames == pmm_nr_free_frames() && used == heap_used_bytes());
    told("kfree", kfree(block));
    told("state bytes", incro_mm_state_bytes() == sizeof(struct incro_kernel));

    told("huge sizes", kmalloc(0) == NULL && kmalloc(SIZE_MAX) == NULL && kmalloc((size_t)1 << 63) == NULL &&
                           kcalloc((size_t)1 << 33, (size_t)1 << 33) == NULL && kmemalign(24, 100) == NULL &&
                           krealloc(&state, 100) == NULL && kmalloc_usable_size(&state) == 0);
    told("wild free", kfree(&state));
    told("wild free", kfree((void *)(uintptr_t)1));
    told("wild free", kfree((void *)(uintptr_t)INT64_MIN));
    told("foreign frame", pmm_free_page(0xB8000));
    told("null frame", pmm_free_page(0));
    told("unmapped", vmm_unmap_page(0x4000000000));
    told("no address", vmm_get_physical((uint64_t)1 << 47));
    told("checks", heap_check() | pmm_check() | vmm_check());
    end(PASSED);
}
