/* The timed loops over the twin of the heap of size classes. Each is that of bench/drivers/live_objects.py, line by
   line, in this order. */
#include "objects_front.h"

#define MAX_SLOTS (1L << 20)
#define NR_STEPS (1L << 20)
#define STEP_MASK (NR_STEPS - 1)
#define CHURN_MASK 63
#define GROWN_BYTES 16000

struct plan {
    u64 nr_live, smallest, sizes, pair_bytes, random, step;
    u64 held[MAX_SLOTS];
    uint32_t shuffled[MAX_SLOTS], order[NR_STEPS], nbytes[NR_STEPS];
};

static u64 draw(struct plan *plan, u64 limit) {
    plan->random = plan->random * 6364136223846793005UL + 1;
    return (plan->random >> 33) % limit;
}

static void make_plan(struct plan *plan) {
    plan->random = 1;
    plan->step = 0;
    u64 nr_slots = plan->nr_live ? plan->nr_live : 1;
    for (i64 step = 0; step < NR_STEPS; step++) {
        plan->order[step] = draw(plan, nr_slots);
        plan->nbytes[step] = plan->smallest + draw(plan, plan->sizes);
    }
    for (u64 slot = 0; slot < plan->nr_live; slot++) {
        u64 other = draw(plan, slot + 1);
        plan->shuffled[slot] = plan->shuffled[other];
        plan->shuffled[other] = slot;
    }
}

i64 TIMED(objects_setup)(struct kernel *k, struct plan *plan, i64 n) {
    (void)n;
    heap_init(k);
    make_plan(plan);
    for (u64 slot = 0; slot < plan->nr_live; slot++)
        plan->held[slot] = kmalloc(k, plan->nbytes[slot]);
    i64 total = 0;
    for (u64 step = 0; step < 4 * plan->nr_live; step++) {
        u64 slot = draw(plan, plan->nr_live);
        total += kfree(k, plan->held[slot]);
        plan->held[slot] = kmalloc(k, plan->smallest + draw(plan, plan->sizes));
        total += plan->held[slot] & STEP_MASK;
    }
    return total;
}

i64 TIMED(objects_pair)(struct kernel *k, struct plan *plan, i64 n) {
    i64 total = 0;
    for (i64 index = 0; index < n; index++) {
        u64 block = kmalloc(k, plan->pair_bytes);
        total += (block & STEP_MASK) + kfree(k, block);
    }
    return total;
}

i64 TIMED(objects_churn)(struct kernel *k, struct plan *plan, i64 n) {
    i64 total = 0;
    u64 step = plan->step;
    for (i64 index = 0; index < n; index++) {
        u64 slot = plan->order[step] & CHURN_MASK;
        total += kfree(k, plan->held[slot]);
        u64 block = kmalloc(k, plan->nbytes[step]);
        plan->held[slot] = block;
        total += block & STEP_MASK;
        step = (step + 1) & STEP_MASK;
    }
    plan->step = step;
    return total;
}

i64 TIMED(objects_mix)(struct kernel *k, struct plan *plan, i64 n) {
    i64 total = 0;
    u64 step = plan->step;
    for (i64 index = 0; index < n; index++) {
        u64 slot = plan->order[step];
        total += kfree(k, plan->held[slot]);
        u64 block = kmalloc(k, plan->nbytes[step]);
        plan->held[slot] = block;
        total += block & STEP_MASK;
        step = (step + 1) & STEP_MASK;
    }
    plan->step = step;
    return total;
}

i64 TIMED(objects_refill)(struct kernel *k, struct plan *plan, i64 n) {
    i64 total = 0;
    for (i64 index = 0; index < n; index++)
        total += kfree(k, plan->held[plan->shuffled[index]]);
    for (i64 index = 0; index < n; index++) {
        u64 block = kmalloc(k, plan->nbytes[index]);
        plan->held[plan->shuffled[index]] = block;
        total += block & STEP_MASK;
    }
    return total;
}

i64 TIMED(objects_grow)(struct kernel *k, struct plan *plan, i64 n) {
    (void)plan;
    i64 total = 0;
    u64 block = kmalloc(k, 24);
    i64 nbytes = 24;
    for (i64 index = 0; index < n; index++) {
        nbytes += nbytes >> 1;
        block = krealloc(k, block, nbytes);
        total += block & STEP_MASK;
        if (nbytes > GROWN_BYTES) {
            total += kfree(k, block);
            block = kmalloc(k, 24);
            nbytes = 24;
        }
    }
    return total + kfree(k, block);
}

i64 TIMED(objects_take)(struct kernel *k, struct plan *plan, i64 n) {
    (void)plan;
    return kmalloc(k, n);
}

i64 TIMED(objects_give)(struct kernel *k, struct plan *plan, i64 n) {
    (void)plan;
    return kfree(k, n);
}
