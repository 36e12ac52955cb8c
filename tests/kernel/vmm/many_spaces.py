"""A kernel with many address spaces, which proves that each has what a model says. Whoever is wrong panics.

The model: for each space and each of a few pages, the word that lies there, or 0 where nothing is mapped.
"""

from typing import Annotated, Final

from incroos.guest import mailbox
from incroos.kernel import heap, pmm, vmm
from incroos.kernel.codes import EXIT_PASSED, OK
from incroos.kernel.cpu import this_cpu
from incroos.kernel.io.panic import end_machine, panic
from incroos.kernel.state import Kernel, Space
from incroos.lang import Array, PhysAddr, Struct, VirtAddr, kernel, load64, store64, u64, word

NR_SPACES: Final = 6
NR_PAGES: Final = 8
NR_BLOCKS: Final = 24
NR_STEPS: Final = 400
CHECK_EVERY: Final = 80
PAGE: Final = 4096
FIRST: Final = 0x40_0000_0000  # pages lie so that they share tables of some levels and not of others
STRIDE: Final = 0x2000_1000


class World(Struct):
    """The spaces, the model of each, and blocks of memory that all share: each is filled with its own address."""

    state: u64  # of the random numbers
    loaded: u64  # which space; NR_SPACES: the kernel's own
    exists: Annotated[Array[u64], NR_SPACES]
    words: Annotated[Array[u64], NR_SPACES * NR_PAGES]
    spaces: Annotated[Array[Space], NR_SPACES]
    blocks: Annotated[Array[VirtAddr], NR_BLOCKS]


@kernel
def prove(k: Kernel, start_info: PhysAddr) -> None:
    """Random steps, then destroy all: no frame is lost."""
    mailbox.start(k, start_info)
    world = World(k.m, heap.kzalloc(k, World.SIZE))
    world.state = 0x2545_F491
    world.loaded = NR_SPACES
    warm_up(k)
    before = pmm.nr_free_frames(k)
    for number in range(NR_STEPS):
        step(k, world)
        if number % CHECK_EVERY == 0:
            check_all(k, world)
    end_all(k, world)
    expect(k, before, pmm.nr_free_frames(k), 1)
    end_machine(k.m, EXIT_PASSED)


@kernel
def warm_up(k: Kernel) -> None:
    """Let the heap take what it keeps."""
    first = heap.kmalloc(k, 3 * PAGE)
    second = heap.kmalloc(k, 1000)
    expect(k, OK, heap.kfree(k, first), 2)
    expect(k, OK, heap.kfree(k, second), 2)
    heap.shrink(k)


@kernel
def expect(k: Kernel, wanted: word, found: word, place: word) -> None:
    if found != wanted:
        panic(k, b'spaces: wanted, found, place', wanted, found, place)


@kernel
def draw(world: World, most: word) -> word:
    """A number from 0 to most - 1: xorshift on 31 bits, so that nothing overflows."""
    x = world.state
    x ^= (x << 13) & 0x7FFF_FFFF
    x ^= x >> 17
    x ^= (x << 5) & 0x7FFF_FFFF
    world.state = x
    return x % most


@kernel
def step(k: Kernel, world: World) -> None:
    """One of what can be done."""
    what = draw(world, 10)
    which = draw(world, NR_SPACES)
    if what < 2:
        make_or_end(k, world, which)
    elif what < 4:
        go_to(k, world, draw(world, NR_SPACES + 1))
    elif what < 8:
        change(k, world, which, draw(world, NR_PAGES))
    else:
        change_shared(k, world, draw(world, NR_BLOCKS))


@kernel
def make_or_end(k: Kernel, world: World, which: word) -> None:
    """Make a space that does not exist; destroy one that does, pages and all, unless it is loaded."""
    if world.exists[which] == 0:
        expect(k, OK, vmm.init_space(k, world.spaces[which]), 10)
        world.exists[which] = 1
    elif world.loaded != which:
        for page in range(NR_PAGES):
            if world.words[which * NR_PAGES + page] != 0 and page % 2 == 0:
                drop(k, world, which, page)
        release_rest(k, world, which)
        expect(k, OK, vmm.deinit_space(world.spaces[which]), 11)
        world.exists[which] = 0


@kernel
def release_rest(k: Kernel, world: World, which: word) -> None:
    """Free the frames that are mapped still; the tables are left to deinit_space."""
    for page in range(NR_PAGES):
        if world.words[which * NR_PAGES + page] != 0:
            pa = vmm.get_physical_in(world.spaces[which], place_of(page))
            expect(k, OK, pmm.free_page(k, pa), 12)
            world.words[which * NR_PAGES + page] = 0


@kernel
def place_of(page: word) -> VirtAddr:
    """Where a page of the model lies."""
    return VirtAddr(FIRST + page * STRIDE)


@kernel
def go_to(k: Kernel, world: World, which: word) -> None:
    """Load a space that exists, or the kernel's own, and look at all of its pages."""
    if which == NR_SPACES:
        vmm.switch_to(this_cpu(k), k.space)
        world.loaded = which
    elif world.exists[which] != 0:
        vmm.switch_to(this_cpu(k), world.spaces[which])
        world.loaded = which
        for page in range(NR_PAGES):
            wanted = world.words[which * NR_PAGES + page]
            if wanted != 0:
                expect(k, wanted, load64(k.m, place_of(page)), 20)


@kernel
def change(k: Kernel, world: World, which: word, page: word) -> None:
    """Map or unmap a page in a space, loaded or not."""
    if world.exists[which] == 0:
        return
    if world.words[which * NR_PAGES + page] != 0:
        drop(k, world, which, page)
        return
    frame = pmm.alloc_page(k)
    content = 1 + draw(world, 1 << 20)
    store64(k.m, pmm.address_of(k, frame), content)
    if page % 2 == 0:
        expect(k, OK, vmm.map_in(world.spaces[which], place_of(page), frame, vmm.DATA), 30)
    else:
        expect(k, OK, vmm.map_range_in(world.spaces[which], place_of(page), frame, PAGE, vmm.DATA), 31)
    world.words[which * NR_PAGES + page] = content
    if world.loaded == which:
        expect(k, content, load64(k.m, place_of(page)), 32)


@kernel
def drop(k: Kernel, world: World, which: word, page: word) -> None:
    """Unmap a page and free its frame."""
    space = world.spaces[which]
    pa = vmm.get_physical_in(space, place_of(page))
    if page % 3 == 0:
        expect(k, OK, vmm.unmap_range_in(space, place_of(page), PAGE), 33)
    else:
        expect(k, pa, vmm.unmap_in(space, place_of(page)), 34)
    world.words[which * NR_PAGES + page] = 0
    expect(k, OK, pmm.free_page(k, pa), 35)


@kernel
def change_shared(k: Kernel, world: World, index: word) -> None:
    """Ask for a block that all spaces share, or look at it and give it back."""
    block = world.blocks[index]
    if block != 0:
        expect(k, block, load64(k.m, block), 40)
        code = vmm.vfree(k, block) if index % 3 == 0 else heap.kfree(k, block)
        expect(k, OK, code, 41)
        world.blocks[index] = VirtAddr(0)
        return
    nbytes = 16 + draw(world, 6 * PAGE) * (1 + index % 4)
    found = vmm.vmalloc(k, nbytes) if index % 3 == 0 else heap.kmalloc(k, nbytes)
    expect(k, 1, 1 if found != 0 else 0, 42)
    store64(k.m, found, found)
    world.blocks[index] = found


@kernel
def check_all(k: Kernel, world: World) -> None:
    """The checkers, whatever space is loaded, of all spaces."""
    code, _va = vmm.find_fault(k)
    expect(k, OK, code, 50)
    expect(k, OK, pmm.check(k), 51)
    expect(k, OK, vmm.check_vmalloc(k), 52)
    expect(k, OK, heap.check(k), 53)
    for which in range(NR_SPACES):
        if world.exists[which] != 0:
            found, _at = vmm.find_fault_in(world.spaces[which])
            expect(k, OK, found, 54)


@kernel
def end_all(k: Kernel, world: World) -> None:
    """Destroy all spaces and give back all blocks."""
    go_to(k, world, NR_SPACES)
    for which in range(NR_SPACES):
        if world.exists[which] != 0:
            make_or_end(k, world, which)
    for index in range(NR_BLOCKS):
        if world.blocks[index] != 0:
            change_shared(k, world, index)
    heap.shrink(k)
    expect(k, OK, vmm.check(k), 60)
