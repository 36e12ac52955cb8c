"""What is said about damage to the heap, before the panic that follows: which block, and which ones are beside it.

    heap: written behind the end of a block
      at      0x0000000010000324, found 0x0000000000000041
      block   0x00000000100002C0, 100 bytes, number 3, asked for at 0x0000000000401234
      before  0x0000000010000220, 24 bytes, number 2, asked for at 0x0000000000401200, freed at 0x0000000000401300
      after   0x0000000010000370, 40 bytes, free
    PANIC: heap: damage, as reported: address, found, block 0x0000000010000324 0x0000000000000041 0x00000000100002C0

The same text in every place. A block has the address that its user got. Changes nothing, and reads only what it has
checked: what it cannot find it calls unknown.
"""

from incroos.kernel.heap.harden import tag
from incroos.kernel.heap.report import locate
from incroos.kernel.heap.secret import is_tagged
from incroos.kernel.state import Heap, Tag
from incroos.lang import VirtAddr, cold, kernel, word


@cold
@kernel
def end_with(heap: Heap, what: bytes, addr: VirtAddr, found: word, block: VirtAddr) -> None:
    """Report what was found at an address, which lies in or beside a block, and panic."""
    put_head(heap, what, addr)
    heap.config.text.put_text(heap, b', found ')
    heap.config.text.put_hex(heap, found)
    put_blocks(heap, block)
    heap.config.text.panic(heap, b'heap: damage, as reported: address, found, block', addr, found, block)


@cold
@kernel
def end_with_tag(heap: Heap, what: bytes, addr: VirtAddr, found: word, of: Tag) -> None:
    """The same, where the block is known by its tag, which may be damaged itself."""
    put_head(heap, what, addr)
    heap.config.text.put_text(heap, b', found ')
    heap.config.text.put_hex(heap, found)
    before, at, behind = locate.around(heap, VirtAddr(of.addr))
    heap.config.text.put_text(heap, b'\n  block   ')
    if tag.is_sealed(heap, of):
        put_tag(heap, of)
    else:
        put_block(heap, at)
    put_beside(heap, before, behind)
    heap.config.text.panic(
        heap, b'heap: damage, as reported: address, found, block', addr, found, tag.payload_of(heap, of)
    )


@cold
@kernel
def end_with_call(heap: Heap, what: bytes, addr: VirtAddr, site: word) -> None:
    """Report a call with a wrong address, and panic."""
    put_head(heap, what, addr)
    put_site(heap, b', called at ', site)
    put_blocks(heap, addr)
    heap.config.text.panic(heap, b'heap: wrong call, as reported: address, call site', addr, site, 0)


@kernel
def put_head(heap: Heap, what: bytes, addr: VirtAddr) -> None:
    """The first line, and where it is."""
    heap.config.text.put_text(heap, b'heap: ')
    heap.config.text.put_text(heap, what)
    heap.config.text.put_text(heap, b'\n  at      ')
    heap.config.text.put_hex(heap, addr)


@kernel
def put_blocks(heap: Heap, addr: VirtAddr) -> None:
    """The block that has an address, and its neighbours."""
    before, at, behind = locate.around(heap, addr)
    heap.config.text.put_text(heap, b'\n  block   ')
    put_block(heap, at)
    put_beside(heap, before, behind)


@kernel
def put_beside(heap: Heap, before: VirtAddr, behind: VirtAddr) -> None:
    """The neighbours of a block."""
    heap.config.text.put_text(heap, b'  before  ')
    put_block(heap, before)
    heap.config.text.put_text(heap, b'  after   ')
    put_block(heap, behind)


@kernel
def put_block(heap: Heap, base: VirtAddr) -> None:
    """The rest of a line: what is known of a block."""
    if base == locate.NONE or base == locate.UNKNOWN:
        heap.config.text.put_text(heap, b'none\n' if base == locate.NONE else b'unknown\n')
        return
    room = locate.room_of(heap, base)
    is_used = room != 0 and locate.is_used(heap, base)
    if is_used and is_tagged(heap) and tag.is_sealed(heap, tag.tag_in(heap, base, room)):
        put_tag(heap, tag.tag_in(heap, base, room))
        return
    heap.config.text.put_hex(heap, base)
    if room == 0:
        heap.config.text.put_text(heap, b', its header is overwritten\n')
        return
    put_bytes(heap, room)
    heap.config.text.put_text(heap, b'\n' if is_used else b', free\n')


@kernel
def put_tag(heap: Heap, of: Tag) -> None:
    """The same of a block with a tag."""
    heap.config.text.put_hex(heap, tag.payload_of(heap, of))
    put_bytes(heap, tag.nbytes_of(of))
    heap.config.text.put_text(heap, b', number ')
    heap.config.text.put_decimal(heap, of.number)
    put_site(heap, b', asked for at ', of.site)
    if tag.is_freed(of):
        heap.config.text.put_text(heap, b', freed')
        put_site(heap, b' at ', tag.freed_from(heap, of))
    heap.config.text.put_text(heap, b'\n')


@kernel
def put_bytes(heap: Heap, nbytes: word) -> None:
    """How many bytes a block has."""
    heap.config.text.put_text(heap, b', ')
    heap.config.text.put_decimal(heap, nbytes)
    heap.config.text.put_text(heap, b' bytes')


@kernel
def put_site(heap: Heap, text: bytes, site: word) -> None:
    """A call site, where there is one."""
    if site != 0:
        heap.config.text.put_text(heap, text)
        heap.config.text.put_hex(heap, site)
