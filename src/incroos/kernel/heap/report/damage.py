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
from incroos.kernel.heap.harden.tag import Tag
from incroos.kernel.heap.report import locate
from incroos.kernel.heap.report_text import put_decimal, put_hex, put_text
from incroos.kernel.heap.secret import is_tagged
from incroos.kernel.io.panic import panic
from incroos.kernel.state import Kernel
from incroos.lang import VirtAddr, cold, kernel, word


@cold
@kernel
def end_with(k: Kernel, what: bytes, addr: VirtAddr, found: word, block: VirtAddr) -> None:
    """Report what was found at an address, which lies in or beside a block, and panic."""
    put_head(k, what, addr)
    put_text(k, b', found ')
    put_hex(k, found)
    put_blocks(k, block)
    panic(k, b'heap: damage, as reported: address, found, block', addr, found, block)


@cold
@kernel
def end_with_tag(k: Kernel, what: bytes, addr: VirtAddr, found: word, of: Tag) -> None:
    """The same, where the block is known by its tag, which may be damaged itself."""
    put_head(k, what, addr)
    put_text(k, b', found ')
    put_hex(k, found)
    before, at, behind = locate.around(k, VirtAddr(of.addr))
    put_text(k, b'\n  block   ')
    if tag.is_sealed(k, of):
        put_tag(k, of)
    else:
        put_block(k, at)
    put_beside(k, before, behind)
    panic(k, b'heap: damage, as reported: address, found, block', addr, found, tag.payload_of(k, of))


@cold
@kernel
def end_with_call(k: Kernel, what: bytes, addr: VirtAddr, site: word) -> None:
    """Report a call with a wrong address, and panic."""
    put_head(k, what, addr)
    put_site(k, b', called at ', site)
    put_blocks(k, addr)
    panic(k, b'heap: wrong call, as reported: address, call site', addr, site, 0)


@kernel
def put_head(k: Kernel, what: bytes, addr: VirtAddr) -> None:
    """The first line, and where it is."""
    put_text(k, b'heap: ')
    put_text(k, what)
    put_text(k, b'\n  at      ')
    put_hex(k, addr)


@kernel
def put_blocks(k: Kernel, addr: VirtAddr) -> None:
    """The block that has an address, and its neighbours."""
    before, at, behind = locate.around(k, addr)
    put_text(k, b'\n  block   ')
    put_block(k, at)
    put_beside(k, before, behind)


@kernel
def put_beside(k: Kernel, before: VirtAddr, behind: VirtAddr) -> None:
    """The neighbours of a block."""
    put_text(k, b'  before  ')
    put_block(k, before)
    put_text(k, b'  after   ')
    put_block(k, behind)


@kernel
def put_block(k: Kernel, base: VirtAddr) -> None:
    """The rest of a line: what is known of a block."""
    if base == locate.NONE or base == locate.UNKNOWN:
        put_text(k, b'none\n' if base == locate.NONE else b'unknown\n')
        return
    room = locate.room_of(k, base)
    is_used = room != 0 and locate.is_used(k, base)
    if is_used and is_tagged(k) and tag.is_sealed(k, tag.tag_in(k, base, room)):
        put_tag(k, tag.tag_in(k, base, room))
        return
    put_hex(k, base)
    if room == 0:
        put_text(k, b', its header is overwritten\n')
        return
    put_bytes(k, room)
    put_text(k, b'\n' if is_used else b', free\n')


@kernel
def put_tag(k: Kernel, of: Tag) -> None:
    """The same of a block with a tag."""
    put_hex(k, tag.payload_of(k, of))
    put_bytes(k, tag.nbytes_of(of))
    put_text(k, b', number ')
    put_decimal(k, of.number)
    put_site(k, b', asked for at ', of.site)
    if tag.is_freed(of):
        put_text(k, b', freed')
        put_site(k, b' at ', tag.freed_from(k, of))
    put_text(k, b'\n')


@kernel
def put_bytes(k: Kernel, nbytes: word) -> None:
    """How many bytes a block has."""
    put_text(k, b', ')
    put_decimal(k, nbytes)
    put_text(k, b' bytes')


@kernel
def put_site(k: Kernel, text: bytes, site: word) -> None:
    """A call site, where there is one."""
    if site != 0:
        put_text(k, text)
        put_hex(k, site)
