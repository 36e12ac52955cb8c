/* Caches of objects, made and used from C. */
#include "console.h"

enum { NR_OBJECTS = 500 };

struct lock {
    uint64_t owner, nr_waiting;
    char name[8];
};

static struct incro_kernel state;
static struct incro_start_info_entry regions[MAX_REGIONS];
static struct lock *objects[NR_OBJECTS];

static void say(const char *what, bool is_so)
{
    put(what);
    put(is_so ? ": yes\n" : ": no\n");
}

static bool is_fresh(const struct lock *lock)
{
    return lock != NULL && lock->owner == 7 && lock->nr_waiting == 0 && lock->name[0] == 'l' && lock->name[1] == 0;
}

static bool are_apart(void)
{
    for (int index = 0; index < NR_OBJECTS; index++)
        objects[index]->nr_waiting = (uint64_t)index;
    for (int index = 0; index < NR_OBJECTS; index++)
        if (objects[index]->nr_waiting != (uint64_t)index || (uintptr_t)objects[index] % 32 != 0)
            return false;
    return true;
}

struct node {
    struct node *next, *previous;
    uint64_t value;
};

static int64_t nr_constructed;

/* A ring that consists of the node alone, which no copy of another node is. */
static void construct(void *object, size_t object_bytes)
{
    struct node *node = object;
    node->next = node->previous = node;
    node->value = object_bytes;
    nr_constructed++;
}

static bool are_rings(void)
{
    struct node fresh = {NULL, NULL, 1}, *nodes[3];
    struct incro_object_cache *cache = cache_create("nodes", sizeof fresh, 8, &fresh, construct);
    for (int index = 0; index < 3; index++) {
        nodes[index] = cache_alloc(cache);
        if (nodes[index] == NULL || nodes[index]->next != nodes[index] || nodes[index]->value != sizeof fresh)
            return false;
    }
    int64_t before = nr_constructed;
    for (int index = 0; index < 3; index++)
        if (cache_free(cache, nodes[index]) != INCRO_OK || cache_alloc(cache) == NULL)
            return false;
    return before >= 3 && nr_constructed == before;
}

void kmain(const struct start_info *info);

void kmain(const struct start_info *info)
{
    struct incro_start start = {0};
    start.regions = regions;
    start.nr_regions = list_regions(info, regions);
    start.hooks.panic = panic_hook;
    say("not before the start", cache_create("early", 24, 8, NULL, NULL) == NULL);
    if (incro_mm_init(&state, &start) != INCRO_OK)
        end(FAILED);

    struct lock fresh = {7, 0, "l"};
    struct incro_object_cache *cache = cache_create("locks", sizeof fresh, 32, &fresh, NULL);
    fresh.owner = 8; /* of which the cache has a copy */
    say("cache", cache != NULL && cache->name[4] == 's' && cache->name[5] == 0 && cache->alignment == 32);
    say("long name, no name",
        cache_destroy(cache_create("a name that is longer than there is room for", 8, 8, NULL, NULL)) == INCRO_OK &&
            cache_destroy(cache_create(NULL, 8, 8, NULL, NULL)) == INCRO_OK);
    bool are_fresh = true;
    for (int index = 0; index < NR_OBJECTS; index++) {
        objects[index] = cache_alloc(cache);
        are_fresh = are_fresh && is_fresh(objects[index]);
    }
    say("fresh", are_fresh);
    say("apart", are_apart());
    say("in use", cache_destroy(cache) == INCRO_CACHE_IN_USE);
    say("no block of kmalloc", kfree(objects[0]) == INCRO_BAD_FREE && cache_free(cache, kmalloc(40)) == INCRO_BAD_FREE);
    bool are_taken = true;
    for (int index = 0; index < NR_OBJECTS; index++) {
        objects[index]->nr_waiting = 0;
        are_taken = are_taken && cache_free(cache, objects[index]) == INCRO_OK;
    }
    say("taken back", are_taken && cache_free(cache, objects[3]) == INCRO_BAD_FREE && cache_free(cache, NULL) == INCRO_OK);
    say("fresh again", is_fresh(objects[0] = cache_alloc(cache)) && cache_free(cache, objects[0]) == INCRO_OK);
    say("shrunk", cache_shrink(cache) >= 4096);
    say("gone", cache_destroy(cache) == INCRO_OK && cache_destroy(cache) == INCRO_BAD_FREE &&
                    cache_destroy(NULL) == INCRO_BAD_FREE && cache_alloc(NULL) == NULL &&
                    cache_free(NULL, NULL) == INCRO_OK && cache_create("none", 0, 8, NULL, NULL) == NULL &&
                    cache_create("odd", 8, 24, NULL, NULL) == NULL);
    say("constructed by a function, once", are_rings());
    say("checks", (heap_check() | pmm_check() | vmm_check()) == INCRO_OK);
    end(PASSED);
}
