"""The C programs of tests/run/programs, with what each is given."""

from typing import Final

from .ring3 import Case

DATA: Final = bytes(index * 7 % 251 for index in range(3 * 4096 + 5))
BINARY: Final = bytes(index * index >> 3 & 0xFF for index in range(60_001))
TEXT: Final = b''.join(b'line %d of some text\n' % number for number in range(700)) + b'and no newline'
ROOT: Final = {'data': DATA, 'folder/inner': b'inner words\n', 'folder/empty': None, 'link': 'folder/inner'}
# Stop signals would stop the program on the host, and wait for somebody.
FATAL: Final = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 24, 25, 26, 27, 29, 30, 31, 34, 50, 64)
HARMLESS: Final = (17, 18, 23, 28)
FAULTS: Final = [
    'divide',
    'divide-overflow',
    'ud2',
    'int3',
    'hlt',
    'cli',
    'in',
    'out',
    'rdmsr',
    'cr3',
    'lock',
    'read-null',
    'write-null',
    'call-null',
    'write-text',
    'write-constant',
    'call-data',
    'call-stack',
    'call-heap',
    'overflow',
    'far-below-stack',
    'read-kernel',
    'write-kernel',
    'call-kernel',
    'non-canonical',
    'call-non-canonical',
    'unmapped',
    'write-read-only',
    'read-none',
    'read-beside',
    'straddle',
    'run-off',
]
SIM_FAULTS: Final = ('divide', 'ud2', 'hlt', 'read-null', 'call-stack', 'read-kernel', 'write-text')

WITH_FLAGS: Final = Case('float-flags', 'float_flags')
PROGRAMS: Final = (
    Case('hello', 'hello', in_sim=True),
    Case('allocate', 'allocate'),
    Case('allocate-little', 'allocate', ('300',), in_sim=True),
    Case('allocate-large', 'allocate', ('1500', '3000000'), memory_bytes=512 << 20),
    Case('large-heap', 'large_heap', ('40',)),
    Case('jumps', 'jumps', in_sim=True),
    Case('floats', 'floats', in_sim=True),
    WITH_FLAGS,
    Case('deep', 'deep'),
    Case('deep-little', 'deep', ('200',), in_sim=True),
    Case('sorting', 'sorting'),
    Case('texts', 'texts', in_sim=True),
    Case('digests', 'digests', ('2000',)),
    Case('arguments', 'arguments', ('one', '', 'two words', '\u00fc', '-x' * 300), in_sim=True),
    Case('environment', 'arguments', (), environment={'A': '1', 'LONG': 'x' * 5000, 'EMPTY': ''}),
    Case('many-arguments', 'arguments', tuple(f'argument {number}' for number in range(1500))),
    Case('input', 'input', input=BINARY),
    Case('input-in-small-pieces', 'input', ('3',), input=BINARY[:1000], in_sim=True),
    Case('input-in-large-pieces', 'input', ('1000000',), input=BINARY * 20),
    Case('no-input', 'input', in_sim=True),
    Case('lines', 'lines', input=TEXT),
    Case('files', 'files', files=ROOT, in_sim=True),
    Case('mapped-file', 'mapped_file', files=ROOT, in_sim=True),
    Case('mapped-file-beyond-its-end', 'mapped_file', ('beyond',), files=ROOT),
    Case('channels', 'channels'),
    Case('buffering', 'buffering', in_sim=True),
    Case('buffering-dropped', 'buffering', ('drop',)),
    Case('buffering-aborted', 'buffering', ('abort',)),
    Case('buffering-of-a-pipe', 'buffering', ('pipe',)),
    Case('auxiliary', 'auxiliary', in_sim=True),
    Case('mappings', 'mappings', in_sim=True),
    *(Case(f'ranges-model-{seed}', 'ranges_model', (str(seed), '1500')) for seed in range(3)),
    Case('breaks', 'breaks', in_sim=True),
    Case('self-modifying', 'self_modifying'),
    Case('statics', 'statics'),
    Case('random-bytes', 'random_bytes', in_sim=True),
    Case('clocks', 'clocks'),
    Case('own-maps', 'own_maps', files=ROOT, in_sim=True),
    Case('many-ranges', 'many_ranges'),
    Case('rare-files', 'rare_files', files=ROOT, in_sim=True),
    Case('rare-mappings', 'rare_mappings', files=ROOT, in_sim=True),
    Case('memory-errors', 'memory_errors', files=ROOT, in_sim=True),
    Case('advices', 'advices', files=ROOT, in_sim=True),
    Case('remaps', 'remaps', files=ROOT, in_sim=True),
    Case('remaps-large', 'remaps', ('large',), files=ROOT),
    Case('vectors', 'vectors', in_sim=True),
    Case('instructions', 'instructions', in_sim=True),
    Case('pointers', 'pointers', files=ROOT, in_sim=True),
    Case('identity', 'identity', in_sim=True),
)
ENDS: Final = (
    *(Case(f'exit-{status}', 'ends', ('exit', str(status)), in_sim=status == 255) for status in (0, 1, 77, 255, 256)),
    Case('exit-at-once', 'ends', ('_exit', '-1')),
    *(Case(way, 'ends', (way,), in_sim=way in SIM_FAULTS) for way in FAULTS),
    Case('abort', 'ends', ('abort',), in_sim=True),
    *(Case(f'raise-{number}', 'ends', ('raise', str(number)), in_sim=number == 15) for number in FATAL + HARMLESS),
    *(Case(f'ignored-{number}', 'ends', ('ignored', str(number))) for number in (10, 11, 15)),
    *(Case(f'blocked-{number}', 'ends', ('blocked', str(number))) for number in (10, 14, 40)),
    Case('kill-itself', 'ends', ('kill', '10')),
    Case('kill-nobody', 'ends', ('kill', '0')),
    Case('ignored-fault', 'ends', ('ignored-fault',)),
    Case('blocked-fault', 'ends', ('blocked-fault',)),
)
