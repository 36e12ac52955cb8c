"""A model of user spaces too simple to be wrong: a dict of pages. And kernels to hold against it."""

from dataclasses import dataclass, replace
from typing import Final

from incroos.guest import mailbox, user_spaces
from incroos.kernel import heap, pmm, vm, vmm
from incroos.kernel.codes import (
    BAD_POINTER,
    BAD_RANGE,
    EXISTS,
    FAULT_BEYOND_CONTENT,
    FAULT_NO_RANGE,
    FAULT_NO_RIGHT,
    NO_ACCESS,
    NO_ROOM,
    NOT_COVERED,
    OK,
    TOO_LOW,
)
from incroos.kernel.config import KernelConfig
from incroos.kernel.configs import MODERN_CHECKED
from incroos.kernel.state import (
    EMPTY_IN_CHILD,
    EXECUTE,
    GROWS_DOWN,
    IS_HEAP,
    IS_LOCKED,
    IS_RANDOM,
    IS_SEQUENTIAL,
    IS_SHARED,
    LOCKS_LATE,
    NOT_IN_CHILD,
    NOT_IN_DUMP,
    READ,
    REFUSES_LARGE,
    WANTS_LARGE,
    WRITE,
    Content,
    Kernel,
    Range,
    UserSpace,
)
from incroos.kernel.vm.remapping import KEEPS_RANGE, MAY_MOVE, TO_PLACE
from incroos.lang import VirtAddr
from incroos.run.sim import Sim

PAGE: Final = 4096
MIB: Final = 1 << 20
LOWEST: Final = 0x1_0000
END: Final = 0x7FFF_FFFF_F000
SEARCH_END: Final = 0x7FFF_F7FF_F000  # with a stack of 8 MiB
WRITE_ERROR: Final = 2  # of the processor's error code
FETCH_ERROR: Final = 16
RIGHTS: Final = READ | WRITE | EXECUTE
NO_DATA: Final = GROWS_DOWN | IS_SHARED
FLAGS_OF_ADVICE: Final = {  # taken away, given
    0: (IS_RANDOM | IS_SEQUENTIAL, 0),
    1: (IS_SEQUENTIAL, IS_RANDOM),
    2: (IS_RANDOM, IS_SEQUENTIAL),
    10: (0, NOT_IN_CHILD),
    11: (NOT_IN_CHILD, 0),
    14: (REFUSES_LARGE, WANTS_LARGE),
    15: (WANTS_LARGE, REFUSES_LARGE),
    16: (0, NOT_IN_DUMP),
    17: (NOT_IN_DUMP, 0),
    18: (0, EMPTY_IN_CHILD),
    19: (EMPTY_IN_CHILD, 0),
}


@dataclass(frozen=True)
class Page:
    """What a page is, and the word it begins with."""

    rights: int
    flags: int = 0
    content: int = 0
    offset: int = 0
    most_rights: int = RIGHTS
    value: int = 0


class Model:
    """The pages of a space, by address."""

    def __init__(self, contents: dict[int, bytes]) -> None:
        self.contents = contents
        self.memories: dict[int, dict[int, int]] = {}  # of shared memory, by name and offset: what is not 0
        self.sizes: dict[int, int] = {}  # of shared memory, by name
        self.pages: dict[int, Page] = {}
        self.brk_start = self.brk = 0
        self.limits = {'address_space': -1, 'data': -1, 'stack': 8 * MIB}

    def fork(self) -> 'Model':
        """Another one with the same pages, of which those of shared memory are the same."""
        child = Model(self.contents)
        child.memories, child.sizes, child.limits = self.memories, self.sizes, dict(self.limits)
        for va, page in self.pages.items():
            if not page.flags & NOT_IN_CHILD:
                value = 0 if page.flags & EMPTY_IN_CHILD else page.value
                child.pages[va] = replace(page, value=value, flags=page.flags & ~(IS_LOCKED | LOCKS_LATE))
        child.brk_start, child.brk = self.brk_start, self.brk
        return child

    # -------------------------------------------------------------- what there is
    def value(self, va: int) -> int:
        """The word that a page begins with."""
        page = self.pages[va]
        return self.memories[page.content].get(page.offset, 0) if page.flags & IS_SHARED else page.value

    def set_value(self, va: int, value: int) -> None:
        page = self.pages[va]
        if page.flags & IS_SHARED:
            self.memories[page.content][page.offset] = value
        else:
            self.pages[va] = replace(page, value=value)

    def ranges(self) -> list[tuple[int, int, int, int, int, int, int]]:
        """Start, end, rights, most rights, flags, content and offset of each range."""
        found: list[list[int]] = []
        for va in sorted(self.pages):
            page = self.pages[va]
            what = [page.rights, page.most_rights, page.flags, page.content]
            goes_on = bool(found) and found[-1][1] == va and found[-1][2:6] == what
            if goes_on and (page.content == 0 or found[-1][6] + va - found[-1][0] == page.offset):
                found[-1][1] = va + PAGE
            else:
                found.append([va, va + PAGE, *what, page.offset])
        return [(a, b, c, d, e, f, g) for a, b, c, d, e, f, g in found]

    def is_covered(self, start: int, end: int) -> bool:
        return all(va in self.pages for va in range(start, end, PAGE))

    def nr_data_pages(self) -> int:
        return sum(bool(page.rights & WRITE) and not page.flags & NO_DATA for page in self.pages.values())

    def may_grow(self, nr_pages: int, rights: int, flags: int) -> bool:
        space, data = self.limits['address_space'], self.limits['data']
        if 0 <= space < (len(self.pages) + nr_pages) * PAGE:
            return False
        counts = rights & WRITE and not flags & NO_DATA
        return not (counts and 0 <= data < (self.nr_data_pages() + nr_pages) * PAGE)

    def gaps(self) -> list[tuple[int, int]]:
        """Start and end of what may be mapped anew, the highest first."""
        found, start = [], LOWEST
        for first, end, _rights, _most, flags, *_rest in self.ranges():
            found.append((start, first - (MIB if flags & GROWS_DOWN else 0)))
            start = end
        found.append((start, END))
        return [(low, high) for low, high in reversed(found) if low < high]

    def find_place(self, hint: int, nbytes: int) -> int:
        if hint & -PAGE > 0:
            start = max(hint & -PAGE, LOWEST)
            if any(low <= start and start + nbytes <= high for low, high in self.gaps()):
                return start
        for end in (SEARCH_END, END):
            for low, high in self.gaps():
                if min(high, end) - low >= nbytes:
                    return min(high, end) - nbytes
        return 0

    # -------------------------------------------------------------- calls
    def put(self, start: int, end: int, page: Page) -> int:
        nr_old = sum(va in self.pages for va in range(start, end, PAGE))
        if not self.may_grow((end - start) // PAGE - nr_old, page.rights, page.flags):
            return NO_ROOM
        for va in range(start, end, PAGE):
            offset = page.offset + va - start if page.content else 0
            value = 0
            if page.content and not page.flags & IS_SHARED:
                value = int.from_bytes(self.contents[page.content][offset : offset + 8], 'little', signed=True)
            self.pages[va] = replace(page, offset=offset, value=value)
        return start

    def map_anywhere(self, hint: int, nbytes: int, page: Page) -> int:
        code = check_request(nbytes, page)
        start = self.find_place(hint, up(nbytes)) if code == OK else 0
        return code if code != OK else self.put(start, start + up(nbytes), page) if start else NO_ROOM

    def map_at(self, start: int, nbytes: int, page: Page, is_free: bool = False) -> int:
        code = check_request(nbytes, page)
        if code != OK:
            return code
        if not 0 <= start <= END - up(nbytes):
            return NO_ROOM
        if start % PAGE:
            return BAD_RANGE
        if start < LOWEST:
            return TOO_LOW
        if is_free and any(va in self.pages for va in range(start, start + up(nbytes), PAGE)):
            return EXISTS
        return self.put(start, start + up(nbytes), page)

    def unmap(self, start: int, nbytes: int) -> int:
        if start % PAGE or nbytes <= 0 or not 0 <= start <= END - nbytes:
            return BAD_RANGE
        self.pages = {va: page for va, page in self.pages.items() if not start <= va < start + up(nbytes)}
        return OK

    def protect(self, start: int, nbytes: int, rights: int) -> int:
        if start % PAGE:
            return BAD_RANGE
        if nbytes == 0:
            return OK
        if rights & ~RIGHTS:
            return BAD_RANGE
        if not 0 <= start < END:
            return NOT_COVERED
        end = start + up(nbytes) if 0 <= nbytes <= END - start else END + PAGE
        for first, behind in self.parts(start, end):
            pages = [self.pages.get(va) for va in range(first, behind, PAGE)]
            page = pages[0]
            if page is None:
                return NOT_COVERED
            if rights & ~page.most_rights:
                return NO_ACCESS
            is_new = not page.rights & WRITE and not page.flags & NO_DATA and bool(rights & WRITE)
            if is_new and 0 <= self.limits['data'] < (self.nr_data_pages() + len(pages)) * PAGE:
                return NO_ROOM
            for va in range(first, behind, PAGE):
                self.pages[va] = replace(self.pages[va], rights=rights)
        return OK

    def parts(self, start: int, end: int) -> list[tuple[int, int]]:
        """Start and end of what lies in [start, end), range by range; the first hole, and no more, as a part."""
        found, done = [], start
        for first, behind, *_rest in self.ranges():
            if first <= done < min(behind, end):
                found.append((done, min(behind, end)))
                done = min(behind, end)
        return found if done >= end else [*found, (done, done + PAGE)]

    def set_break(self, wanted: int) -> int:
        data = self.limits['data']
        if not self.brk_start <= wanted <= END or 0 <= data < wanted - self.brk_start:
            return self.brk
        old, new = up(self.brk), up(wanted)
        if new < old:
            if not self.is_any(new, old):
                return self.brk
            self.unmap(new, old - new)
        elif new > old:
            if not any(low <= old and new + PAGE <= high for low, high in self.gaps()):
                return self.brk
            if self.put(old, new, Page(READ | WRITE, IS_HEAP)) < 0:
                return self.brk
        self.brk = wanted
        return wanted

    # -------------------------------------------------------------- advice, locks, moves
    def change_flags(self, start: int, end: int, removed: int, added: int) -> None:
        for va in range(start, end, PAGE):
            page = self.pages[va]
            self.pages[va] = replace(page, flags=page.flags & ~removed | added)

    def advise(self, start: int, end: int, advice: int) -> int:
        code = OK
        done = start
        for first, behind, *_rest in self.ranges():
            if behind <= start or first >= end:
                continue
            code = NOT_COVERED if first > done else code
            first, done = max(first, start), min(behind, end)
            page = self.pages[first]
            is_locked, is_drop = page.flags & IS_LOCKED, advice in (4, 8, 24)
            if (is_locked and advice in (4, 8, 20, 21)) or (page.content and advice in (8, 18)):
                return BAD_RANGE
            if is_drop:
                for va in range(first, done, PAGE):
                    self.drop(va)
            self.change_flags(first, done, *FLAGS_OF_ADVICE.get(advice, (0, 0)))
        return code if done >= end else NOT_COVERED

    def drop(self, va: int) -> None:
        """Let a page be as it was when it was mapped."""
        page = self.pages[va]
        if not page.flags & IS_SHARED:
            self.pages[va] = replace(page, value=self.first_value(page))

    def first_value(self, page: Page) -> int:
        if page.content == 0:
            return 0
        return int.from_bytes(self.contents[page.content][page.offset : page.offset + 8], 'little', signed=True)

    def lock(self, start: int, end: int, flags: int) -> int:
        for va in range(start, end, PAGE):
            if va not in self.pages:
                return NOT_COVERED
            self.change_flags(va, va + PAGE, IS_LOCKED | LOCKS_LATE, flags)
        return OK

    def remap(self, start: int, nbytes: int, wanted: int, flags: int, place: int) -> int:
        is_named = bool(flags & (TO_PLACE | KEEPS_RANGE))
        if is_named and (place % PAGE or not 0 <= place <= END - wanted):
            return BAD_RANGE
        if is_named and place < start + nbytes and start < place + wanted:
            return BAD_RANGE
        if start not in self.pages:
            return BAD_POINTER
        if not is_named and wanted <= nbytes:
            return start if wanted == nbytes or self.unmap(start + wanted, nbytes - wanted) == OK else BAD_RANGE
        first, end = next((a, b) for a, b, *_rest in self.ranges() if a <= start < b)
        page, moved = self.pages[start], min(nbytes, wanted)
        if nbytes == 0 and not page.flags & IS_SHARED:
            return BAD_RANGE
        if moved > end - start:
            return BAD_POINTER
        nr_more = wanted - moved + (moved if flags & KEEPS_RANGE else 0)
        if not self.may_grow(nr_more // PAGE, page.rights, page.flags):
            return NO_ROOM
        if not is_named:
            if end == start + nbytes and start + wanted <= END and not self.is_any(end, start + wanted):
                return self.copy_range(page, start, start + nbytes, start + wanted)
            place = self.find_place(0, wanted) if flags & MAY_MOVE else 0
        elif flags & TO_PLACE:
            if place < LOWEST:
                return TOO_LOW
            self.unmap(place, wanted)
            if start not in self.pages:  # what was to be seen a second time, at the place where it is
                return BAD_POINTER
            if wanted < nbytes:
                self.unmap(start + wanted, nbytes - wanted)
        else:
            place = self.find_place(place, wanted)
        return self.move(start, moved, wanted, place, flags, (first, end)) if place else NO_ROOM

    def is_any(self, start: int, end: int) -> bool:
        return any(start <= va < end for va in self.pages)

    def copy_range(self, page: Page, start: int, first: int, end: int) -> int:
        """Let a range that begins with a page go on with pages that were never touched."""
        for va in range(first, end, PAGE):
            offset = page.offset + va - start if page.content else 0
            self.pages[va] = replace(page, offset=offset)
            self.drop(va)
        return start

    def move(self, start: int, nbytes: int, wanted: int, place: int, flags: int, bounds: tuple[int, int]) -> int:
        begin = self.pages[start]
        moved = [self.pages[start + at] for at in range(0, nbytes, PAGE)]
        if flags & KEEPS_RANGE:
            self.change_flags(*bounds, IS_LOCKED | LOCKS_LATE if nbytes else 0, 0)
            for va in range(start, start + nbytes, PAGE):
                self.drop(va)
        else:
            self.unmap(start, nbytes)
        self.pages.update({place + index * PAGE: page for index, page in enumerate(moved)})
        return self.copy_range(begin, place, place + nbytes, place + wanted)

    # -------------------------------------------------------------- pages
    def fault(self, va: int, error: int) -> int:
        page = self.pages.get(va & -PAGE)
        grown = page is None and self.find_stack(va & -PAGE)
        if grown:
            page = replace(self.pages[grown], value=0)
        if page is None or grown is None:
            return FAULT_NO_RANGE
        allowed = page.rights
        if error & WRITE_ERROR:
            allowed &= WRITE
        elif error & FETCH_ERROR:
            allowed &= EXECUTE
        if not allowed:
            return FAULT_NO_RIGHT
        size = (
            self.sizes.get(page.content, END) if page.flags & IS_SHARED else len(self.contents.get(page.content, b''))
        )
        if page.content and page.offset >= size:
            return FAULT_BEYOND_CONTENT
        if grown:
            for at in range(va & -PAGE, grown, PAGE):
                self.pages[at] = page
        return OK

    def find_stack(self, va: int) -> int | None:
        """Where the stack begins that may grow down to the page, or 0."""
        above = [r for r in self.ranges() if r[0] > va]
        if not above or not above[0][4] & GROWS_DOWN or va < LOWEST:
            return None
        start, end, rights, _most, flags, *_rest = above[0]
        below = [r for r in self.ranges() if r[1] <= va]
        if below and not below[-1][4] & GROWS_DOWN and below[-1][2] and va - below[-1][1] < MIB:
            return None
        if 0 <= self.limits['stack'] < end - va:
            return None
        return start if self.may_grow((start - va) // PAGE, rights, flags) else None


def check_request(nbytes: int, page: Page) -> int:
    if nbytes == 0 or page.rights & ~RIGHTS or page.offset % PAGE or not 0 <= page.offset <= 1 << 62:
        return BAD_RANGE
    return OK if 0 < nbytes <= END else NO_ROOM


def up(nbytes: int) -> int:
    return (nbytes + PAGE - 1) & -PAGE


# ------------------------------------------------------------------ kernels
class Machine:
    """An interpreted kernel with a user space, and bytes of files in its memory."""

    def __init__(self, memory_bytes: int = 64 * MIB, config: KernelConfig = MODERN_CHECKED) -> None:
        self.sim = Sim(memory_bytes, config)
        self.sim.start(mailbox.start)
        self.k: Kernel = self.sim.kernel
        assert user_spaces.init(self.k) == OK
        self.contents: dict[int, bytes] = {}
        self.buffer = VirtAddr(heap.kzalloc(self.k, 4 * PAGE))

    def new_space(self) -> UserSpace:
        user = UserSpace(self.k.m, vm.create(self.k))
        assert user.addr != 0
        return user

    def new_content(self, data: bytes) -> Content:
        """A file of these bytes."""
        content = Content(self.k.m, heap.kzalloc(self.k, Content.SIZE))
        content.data = vmm.vmalloc(self.k, len(data))
        content.data_bytes = len(data)
        content.nbytes = len(data)
        for at in range(0, len(data), 8):
            self.k.m.store64(VirtAddr(content.data + at), int.from_bytes(data[at : at + 8], 'little', signed=True))
        self.contents[content.addr] = data
        return content

    def forget_content(self, content: Content) -> None:
        """Give back a file that nobody has."""
        del self.contents[content.addr]
        vm.free_content_pages(self.k, content, 0)
        vmm.vfree(self.k, content.data)
        heap.kfree(self.k, content.addr)

    def ranges(self, user: UserSpace) -> list[tuple[int, int, int, int, int, int, int]]:
        """What the tree says, in the form of the model."""
        found: list[tuple[int, int, int, int, int, int, int]] = []
        at = vm.find_range_behind(user, VirtAddr(0))
        while at != 0:
            r = Range(self.k.m, at)
            found.append((r.start, r.end, r.rights, r.most_rights, r.flags, r.content, r.offset))
            at = vm.next_range(user, at)
        return found

    def leaves(self, user: UserSpace) -> dict[int, int]:
        """The entries of all pages that are there."""
        found: dict[int, int] = {}
        va, entry = vmm.next_leaf_in(user.space, VirtAddr(0), VirtAddr(END))
        while va < END:
            found[va] = entry
            va, entry = vmm.next_leaf_in(user.space, VirtAddr(va + PAGE), VirtAddr(END))
        return found

    def state(self, user: UserSpace) -> tuple[object, ...]:
        """All that a call which fails must leave alone."""
        counts = (user.nr_ranges, user.nr_pages, user.nr_data_pages, user.nr_resident, user.brk, user.nr_faults)
        users = [Content(self.k.m, VirtAddr(addr)).nr_users for addr in self.contents]
        heap.shrink(self.k)
        free = pmm.nr_free_frames(self.k)
        return self.ranges(user), self.leaves(user), counts, users, user.space.nr_tables, free

    def check(self) -> None:
        """All checkers."""
        assert vm.check(self.k) == OK
        assert pmm.check(self.k) == heap.check(self.k) == vmm.check(self.k) == OK

    def refuse(self, request: int) -> None:
        """Refuse that request for a frame from now on; 0: none."""
        self.k.frames.requests, self.k.frames.refuse_at = 0, request
