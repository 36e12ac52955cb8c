"""Random kernel programs: typed functions that use the whole language, with loops that end.

`Writer(seed).program()` gives the text of a module with the structs `Inner` and `State`, helpers, and the function
`f(s: State, a: word, b: word, c: word) -> word`. All that it computes lies in the State and its result. Some programs
overflow, divide by zero or index outside an array; guarded.py says at which line.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from incroos.lang.words import WORD_MAX, WORD_MIN

INNER_FIELDS: Final = (
    ('tag', 'u8', 8),
    ('value', 'i64', 64),
    ('half', 'u16', 16),
    ('links', 'Annotated[Array[u32], 3]', 32),
)
STATE_FIELDS: Final = (
    ('small', 'u8', 8),
    ('medium', 'u16', 16),
    ('large', 'u32', 32),
    ('huge', 'u64', 64),
    ('signed', 'i64', 64),
    ('plain', 'word', 64),
    ('frame', 'PhysAddr', 64),
    ('order', 'Annotated[Order, U8]', 8),
    ('inner', 'Inner', 0),
    ('bytes', 'Annotated[Array[u8], 5]', 8),
    ('halves', 'Annotated[Array[u16], 3]', 16),
    ('words', 'Annotated[Array[u64], 8]', 64),
    ('orders', 'Annotated[Array[Annotated[Order, U8]], 4]', 8),
    ('parts', 'Annotated[Array[Inner], 3]', 0),
)
NUMBERS: Final = {
    'State': ('small', 'medium', 'large', 'huge', 'signed', 'plain', 'frame', 'order'),
    'Inner': ('tag', 'value', 'half'),
}
ARRAYS: Final = {
    'State': {'bytes': 5, 'halves': 3, 'words': 8, 'orders': 4},
    'Inner': {'links': 3},
}
BITS: Final = {name: bits for name, _, bits in (*INNER_FIELDS, *STATE_FIELDS)}
KINDS: Final = {'frame': 'PhysAddr', 'order': 'Order', 'orders': 'Order'}
SMALL: Final = (0, 1, 2, 3, 7, 8, 10, 63, 64, 255, 256, 4096, 65535, -1, -2, -7)
EDGES: Final = (*SMALL, 1 << 31, 1 << 32, 1 << 40, WORD_MAX, WORD_MIN)
TEXTS: Final = ("b''", "b'a'", "b'kernel'", "b'\\x00\\xff\"\\\\'")
NOTE: Final = """
@kernel
def note(s: State, value: word) -> word:
    s.plain = add_wrap(mul_wrap(s.plain, 31), value)
    s.words[value & 7] = value
    return s.plain & 63

"""  # makes what is computed, and in which order, visible in memory
NEW_TYPES: Final = ('PhysAddr', 'Order')
PARAMETERS: Final = ('word', 'word', 'word', 'bool', 'State', 'Inner', 'bytes', 'PhysAddr')
RESULTS: Final = ('word', 'word', 'bool', 'PhysAddr', 'None', 'tuple[word, bool]', 'tuple[word, word]', 'Inner')
MAX_STEPS: Final = 3000  # of a call, roughly: CPython runs it too


@dataclass
class Helper:
    """A function that later ones may call."""

    name: str
    parameters: list[str]
    result: str
    steps: int = 0


@dataclass
class Scope:
    """What the writer knows inside a function."""

    result: str
    kinds: dict[str, str] = field(default_factory=dict)  # of all locals
    assigned: set[str] = field(default_factory=set)
    fixed: set[str] = field(default_factory=set)  # counters of while loops, which only the loop changes
    turns: int = 1  # how often what is written now may run
    steps: int = 0
    loops: int = 0


class Writer:
    """Writes one program."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.lines: list[str] = []
        self.helpers: list[Helper] = []
        self.scope = Scope('word')
        self.indent = 0

    # ---------------------------------------------------------------- the module
    def program(self) -> str:
        """The text of a whole program."""
        for name, fields in (('Inner', INNER_FIELDS), ('State', STATE_FIELDS)):
            self.put(f'class {name}(Struct):')
            shuffled = self.random.sample(fields, len(fields))
            self.lines += [f'    {field}: {kind}' for field, kind, _ in shuffled] + ['']
        self.put(f'LIMIT: Final = {self.random.choice((3, 5, 100))}')
        self.put('BASE: Final = PhysAddr(0x1000)')
        self.put('')
        self.lines += NOTE.splitlines()
        for number in range(self.random.randrange(1, 5)):
            parameters = [self.random.choice(PARAMETERS) for _ in range(self.random.randrange(1, 5))]
            self.function(Helper(f'h{number}', parameters, self.random.choice(RESULTS)), 4)
        self.function(Helper('f', ['State', 'word', 'word', 'word'], 'word'), 9)
        return '\n'.join(self.lines) + '\n'

    def function(self, helper: Helper, nr_statements: int) -> None:
        """One function; it may call those written before it."""
        names = [f'p{index}' for index in range(len(helper.parameters))]
        self.scope = Scope(helper.result, dict(zip(names, helper.parameters, strict=True)), set(names))
        parameters = ', '.join(f'{name}: {kind}' for name, kind in self.scope.kinds.items())
        self.lines += ['@kernel', f'def {helper.name}({parameters}) -> {helper.result}:']
        with self.inside():
            self.block(self.random.randrange(2, nr_statements))
            self.note_all()
            self.give_result()
        self.put('')
        helper.steps = self.scope.steps
        if helper.result != 'Inner' or 'State' in helper.parameters or 'Inner' in helper.parameters:
            self.helpers.append(helper)

    def put(self, line: str) -> None:
        self.lines.append('    ' * self.indent + line)
        self.scope.steps += self.scope.turns

    @contextmanager
    def inside(self) -> Iterator[None]:
        """One level further in; what is assigned there need not be assigned behind it."""
        before, self.indent = set(self.scope.assigned), self.indent + 1
        yield
        self.indent -= 1
        self.scope.assigned = before

    # ---------------------------------------------------------------- statements
    def block(self, nr_statements: int) -> None:
        for _ in range(nr_statements):
            choices = [self.assign] * 5 + [self.augment] * 3 + [self.store] * 4 + [self.swap, self.primitive, self.call]
            if self.indent < 4:
                choices += [self.branch] * 3 + [self.match, self.count, self.count, self.spell, self.loop]
            before = len(self.lines)
            self.random.choice(choices)()
            if len(self.lines) == before:
                self.put('pass')

    def note_all(self) -> None:
        """Make all words and bools visible."""
        states = self.locals('State')
        for name in (*self.locals('word'), *self.locals('bool')) if states else ():
            self.put(f'note({states[0]}, {name})')

    def assign(self) -> None:
        """A new local, or another value for one."""
        scope = self.scope
        old = [name for name in scope.assigned if name not in scope.fixed and scope.kinds[name] != 'State']
        if old and self.random.random() < 0.4:
            name, is_new = self.random.choice(sorted(old)), False
        else:
            name = f'v{len(scope.kinds)}'
            is_new = True
            kinds = ['word'] * 4 + ['bool'] * 2 + ['PhysAddr', 'bytes'] + (['Inner'] if self.views() else [])
            scope.kinds[name] = self.random.choice(kinds)
        first = '0 | ' if is_new and scope.kinds[name] == 'word' else ''  # a word, not a PhysAddr that may stand for it
        self.put(f'{name} = {first}{self.value(scope.kinds[name])}')
        scope.assigned.add(name)

    def augment(self) -> None:
        """x += 1, of a local or in memory."""
        operator = self.random.choice(('+', '-', '*', '//', '%', '&', '|', '^', '<<', '>>', '+', '-'))
        locals_, states = self.locals('word', without=self.scope.fixed), self.locals('State')
        if states and self.random.random() < 0.1:  # what is on the right changes what is on the left
            s = states[0]
            target = self.random.choice((f'{s}.plain', f'{s}.words[note({s}, {self.atom()}) & 7]'))
            self.put(f'{target} {self.random.choice("^|&")}= note({s}, {self.word(1)})')
        elif locals_ and self.random.random() < 0.6:
            self.put(f'{self.random.choice(locals_)} {operator}= {self.right(operator)}')
        elif self.views():
            target, name = self.number(lambda name: name not in KINDS)
            if target and BITS[name] == 64:
                self.put(f'{target} {operator}= {self.right(operator)}')
            elif target:
                self.put(f'{target} {self.random.choice(("&", ">>", "|"))}= {self.random.randrange(8)}')

    def store(self) -> None:
        """A number into memory; now and then one that does not fit."""
        target, name = self.number(lambda name: True)
        if target:
            self.put(f'{target} = {self.fitting(name)}')

    def swap(self) -> None:
        """Several values at once."""
        words = self.locals('word', without=self.scope.fixed)
        if len(words) > 1:
            one, two = self.random.sample(words, 2)
            self.put(f'{one}, {two} = {two}, {self.word(2)}')

    def primitive(self) -> None:
        """A primitive on the bytes of the state."""
        states = self.locals('State')
        if not states:
            return
        s = self.random.choice(states)
        addr = f'VirtAddr({s}.addr + ({self.word(1)} & 63))'
        bits = self.random.choice((8, 16, 32, 64))
        value = self.word(2) if bits == 64 else f'{self.atom()} & {(1 << bits) - 1}'
        self.put(
            self.random.choice(
                (
                    f'store{bits}(s.m, {addr}, {value})',
                    f'fill(s.m, {addr}, {self.word(1)} & 255, {self.atom()} & 31)',
                    f'copy(s.m, {s}.addr, {addr}, {self.atom()} & 31)',
                    f'copy(s.m, {addr}, {s}.addr, {self.atom()} & 15)',
                )
            ).replace('s.m', f'{s}.m')
        )

    def call(self) -> None:
        """A call of a helper for what it does, or for several results."""
        helper = self.callee(lambda helper: helper.result not in ('word', 'bool', 'PhysAddr', 'Inner'))
        if helper is None:
            return
        text = self.call_text(helper)
        if helper.result == 'None':
            self.put(text)
            return
        names = [f'v{len(self.scope.kinds) + index}' for index in (0, 1)]
        self.put(f'{names[0]}, {names[1]} = {text}')
        second = 'bool' if 'bool' in helper.result else 'word'
        self.scope.kinds.update({names[0]: 'word', names[1]: second})
        self.scope.assigned.update(names)

    def branch(self) -> None:
        """if, elif, else; a local that all of them assign has a value afterwards."""
        name = f'v{len(self.scope.kinds)}' if self.random.random() < 0.3 else ''
        if name:
            self.scope.kinds[name] = 'word'
        ways = ['if', *['elif'] * (self.random.random() < 0.3), *['else'] * (bool(name) or self.random.random() < 0.5)]
        for way in ways:
            self.put('else:' if way == 'else' else f'{way} {self.truth(2)}:')
            with self.inside():
                self.block(self.random.randrange(1, 3))
                if name:
                    self.put(f'{name} = 0 | {self.word(2)}')
                elif way == 'if' and self.random.random() < 0.25:
                    self.leave()
        if name:
            self.scope.assigned.add(name)

    def match(self) -> None:
        """match over few or many numbers, with or without a case for all others."""
        numbers = list(range(-3, 9)) if self.random.random() < 0.5 else [*SMALL, WORD_MAX, WORD_MIN]
        self.random.shuffle(numbers)
        subject = f'{self.word(1)} % 9' if self.random.random() < 0.7 else self.word(1)
        self.put(f'match {subject}:')
        self.indent += 1
        for _ in range(self.random.randrange(1, 7)):
            patterns = [numbers.pop() for _ in range(self.random.choice((1, 1, 1, 2)))]
            self.case(' | '.join(map(str, patterns)))
        if self.random.random() < 0.5:
            self.case('_')
        self.indent -= 1

    def case(self, pattern: str) -> None:
        self.put(f'case {pattern}:')
        with self.inside():
            self.block(1)
            if self.random.random() < 0.15:
                self.leave()

    def leave(self) -> None:
        """break, continue or return."""
        ways = ['return', *['break', 'continue'] * bool(self.scope.loops)]
        way = self.random.choice(ways)
        if way == 'return':
            self.give_result()
        else:
            self.put(way)

    def give_result(self) -> None:
        result = self.scope.result
        if result == 'None':
            self.put('return')
        elif result.startswith('tuple'):
            self.put(f'return {self.word(2)}, {self.truth(2) if "bool" in result else self.word(2)}')
        elif result == 'Inner' and not self.views():
            self.put('return Inner(p0, VirtAddr(0))')
        else:
            self.put(f'return {self.value(result)}')

    def count(self) -> None:
        """for over a range of each form."""
        name = f'v{len(self.scope.kinds)}'
        self.scope.kinds[name] = 'word'
        end, start, step = f'{self.atom()} & 7', f'{self.atom()} & 3', self.random.choice((1, 2, 3, -1, -2, -5))
        bounds = (f'{start}, {end}' if step > 0 else f'{end}, {start}') + f', {step}'
        far = f'{WORD_MAX - 5}, {WORD_MAX}, 2', f'{WORD_MIN + 7}, {WORD_MIN}, -3', f'{WORD_MIN}, {WORD_MAX}, {WORD_MAX}'
        form = self.random.choice((end, f'{start}, {end}', bounds, bounds, self.random.choice(far)))
        self.put(f'for {name} in range({form}):')
        self.repeat(name)

    def spell(self) -> None:
        """for over text."""
        name = f'v{len(self.scope.kinds)}'
        self.scope.kinds[name] = 'word'
        self.put(f'for {name} in {self.value("bytes")}:')
        self.repeat(name)

    def loop(self) -> None:
        """while, with a counter that ends it."""
        name = f'v{len(self.scope.kinds)}'
        self.scope.kinds[name] = 'word'
        for_ever = self.random.random() < 0.3
        self.put(f'{name} = {self.random.randrange(1, 6)}')
        self.scope.assigned.add(name)
        self.scope.fixed.add(name)
        self.put('while True:' if for_ever else f'while {name} > 0 and {self.truth(1)}:')
        with self.inside():
            self.put(f'{name} -= 1')
            if for_ever:
                self.put(f'if {name} < 0:')
                with self.inside():
                    self.put('break')
        self.repeat('')

    def repeat(self, name: str) -> None:
        """The inside of a loop."""
        scope = self.scope
        scope.turns, scope.loops = scope.turns * 6, scope.loops + 1
        with self.inside():
            scope.assigned |= {name} - {''}
            self.block(self.random.randrange(1, 4))
            if name and self.locals('State') and self.random.random() < 0.5:
                self.put(f'note({self.locals("State")[0]}, {name})')
        scope.turns, scope.loops = scope.turns // 6, scope.loops - 1

    # ---------------------------------------------------------------- places
    def locals(self, kind: str, without: Sequence[str] | set[str] = ()) -> list[str]:
        return sorted(name for name in self.scope.assigned if self.scope.kinds[name] == kind and name not in without)

    def views(self) -> bool:
        return bool(self.locals('State') or self.locals('Inner'))

    def view(self) -> tuple[str, str]:
        """A view, and its kind."""
        views = [(name, kind) for kind in ('State', 'Inner') for name in self.locals(kind)]
        name, kind = self.random.choice(views)
        if kind == 'State' and self.random.random() < 0.3:
            return self.random.choice((f'{name}.inner', f'{name}.parts[{self.index(3)}]')), 'Inner'
        return name, kind

    def index(self, length: int) -> str:
        """An index, mostly one inside the array."""
        if self.random.random() < 0.5:
            return str(self.random.randrange(length))
        mask = (1 << (length.bit_length() - 1)) - 1
        return self.varying(1) if self.random.random() < 0.05 else f'{self.atom()} & {mask}'

    def number(self, wanted: Callable[[str], bool]) -> tuple[str, str]:
        """A number in memory, and the name of its field."""
        if not self.views():
            return '', ''
        view, kind = self.view()
        names = [name for name in (*NUMBERS[kind], *ARRAYS[kind]) if wanted(name)]
        name = self.random.choice(names)
        length = ARRAYS[kind].get(name)
        return (f'{view}.{name}[{self.index(length)}]' if length else f'{view}.{name}'), name

    def fitting(self, name: str) -> str:
        """A value for a field."""
        bits, kind = BITS[name], KINDS.get(name)
        value = self.word(2)
        if bits < 64 and self.random.random() < 0.95:
            value = f'({value}) & {(1 << bits) - 1}'
        return f'{kind}({value})' if kind else value

    # ---------------------------------------------------------------- values
    def value(self, kind: str) -> str:
        """A value of a kind."""
        if kind == 'word':
            return self.word(3)
        if kind == 'bool':
            return self.truth(3)
        if kind == 'bytes':
            texts = [*TEXTS, *self.locals('bytes')]
            one, two = self.random.choice(texts), self.random.choice(texts)
            return self.random.choice((one, one, f'{one} if {self.truth(1)} else {two}'))
        if kind in NEW_TYPES:
            helper = self.callee(lambda helper: helper.result == kind)
            if helper and self.random.random() < 0.3:
                return self.call_text(helper)
            return self.random.choice([f'{kind}({self.word(1)})', *self.locals(kind), 'BASE'])
        inside = [f'{name}.{part}' for name in self.locals('State') for part in ('inner', f'parts[{self.index(3)}]')]
        return self.random.choice([*self.locals(kind), *inside])

    def callee(self, wanted: Callable[[Helper], bool]) -> Helper | None:
        """A helper that can be called here: whose arguments there are, and which does not take too long."""
        scope = self.scope
        fit = [
            helper
            for helper in self.helpers
            if wanted(helper)
            and scope.steps + scope.turns * helper.steps < MAX_STEPS
            and ('State' not in helper.parameters or self.locals('State'))
            and ('Inner' not in helper.parameters or self.locals('Inner'))
        ]
        return self.random.choice(fit) if fit else None

    def call_text(self, helper: Helper) -> str:
        self.scope.steps += self.scope.turns * helper.steps
        arguments = []
        for kind in helper.parameters:
            if kind in ('State', 'Inner'):
                arguments.append(self.random.choice(self.locals(kind)))
            elif kind in ('word', 'bool'):
                arguments.append(self.word(1) if kind == 'word' else self.truth(1))
            else:
                arguments.append(self.value(kind))
        return f'{helper.name}({", ".join(arguments)})'

    def atom(self) -> str:
        """A word without an operator."""
        choices = self.locals('word') * 2
        number, _ = self.number(lambda name: True)
        if number and self.random.random() < 0.08 and self.locals('State'):
            return f'note({self.locals("State")[0]}, {number})'
        return self.random.choice([*choices, *[number] * bool(number)] or ['len(b"abc")'])

    def word(self, depth: int) -> str:
        """A word."""
        if depth == 0 or self.random.random() < 0.2:
            return str(self.random.choice(EDGES)) if self.random.random() < 0.25 else self.atom()
        way = self.random.randrange(22)
        if way >= 20 and self.locals('State'):
            return f'note({self.random.choice(self.locals("State"))}, {self.word(depth - 1)})'
        if way < 9:
            operator = self.random.choice(('+', '-', '*', '//', '%', '&', '&', '|', '^', '<<', '>>', '>>', '+', '-'))
            return f'({self.varying(depth - 1)} {operator} {self.right(operator)})'
        if way < 11:
            return f'{self.random.choice(("-", "~"))}({self.varying(depth - 1)})'
        if way < 12:
            return f'({self.word(depth - 1)} if {self.truth(depth - 1)} else {self.word(depth - 1)})'
        if way < 13:
            return f'{self.random.choice(("min", "max"))}({self.word(depth - 1)}, {self.word(depth - 1)})'
        if way < 15:
            return self.word_function(depth)
        if way < 16:
            return f'(({self.truth(depth - 1)}) + {self.varying(depth - 1)} % 100)'
        if way < 17:
            text = self.random.choice(self.locals('bytes') or ["b'abcd'"])
            return self.random.choice((f'len({text})', f'{text}[{self.atom()} & 3]'))
        if way < 18:
            offsets = [f"(address_of({name}, 'frame') - {name}.addr)" for name in self.locals('State')]
            constants = ['LIMIT', 'State.SIZE', "offset_of(State, 'frame')", 'BASE', *offsets]
            return self.random.choice([*(f'({name} + 1)' for name in self.locals('PhysAddr')), *constants])
        helper = self.callee(lambda helper: helper.result == 'word')
        return self.call_text(helper) if helper else self.atom()

    def varying(self, depth: int) -> str:
        """A word that the compiler does not know."""
        if depth == 0:
            return f'({self.atom()} + {self.random.randrange(-3, 4)})'
        return self.random.choice((self.atom(), f'({self.atom()} ^ {self.word(depth - 1)})'))

    def right(self, operator: str) -> str:
        """A right operand: mostly one that Python's result does not leave the word with."""
        if operator in ('<<', '>>'):
            mask = 3 if operator == '<<' else 63
            return self.random.choice((str(self.random.randrange(mask + 1)), f'({self.atom()} & {mask})'))
        if operator in ('//', '%'):
            number = self.random.choice([edge for edge in EDGES if edge != 0])
            return self.random.choice((f'({number})', f'({self.atom()} | 1)', self.atom()))
        if operator == '*':
            return self.random.choice((str(self.random.randrange(5)), f'({self.atom()} & 7)'))
        return self.random.choice((self.atom(), str(self.random.randrange(100)), f'({self.word(1)})'))

    def word_function(self, depth: int) -> str:
        one, two = self.word(depth - 1), self.word(depth - 1)
        shift = self.random.choice(('shl_wrap', 'shr_logical'))
        count = self.random.choice(('count_ones', 'count_leading_zeros', 'count_trailing_zeros'))
        wrap = self.random.choice(('add_wrap', 'sub_wrap', 'mul_wrap'))
        return self.random.choice((f'{wrap}({one}, {two})', f'{count}({one})', f'{shift}({one}, {self.atom()} & 63)'))

    def truth(self, depth: int) -> str:
        """A bool."""
        flags = self.locals('bool')
        if depth == 0 or self.random.random() < 0.15:
            return self.random.choice([*flags, f'{self.atom()} > {self.random.randrange(10)}', 'True'])
        way = self.random.randrange(10)
        compare = self.random.choice(('==', '!=', '<', '<=', '>', '>='))
        if way < 4:
            return f'{self.word(depth - 1)} {compare} 0 + {self.word(depth - 1)}'  # not of two NewTypes
        if way < 5:
            return f'({self.atom()} <= 0 + {self.word(depth - 1)} {compare} {self.atom()})'
        if way < 7:
            operator = self.random.choice(('and', 'or'))
            return f'({self.truth(depth - 1)} {operator} {self.truth(depth - 1)})'
        if way < 8:
            return f'(not ({self.truth(depth - 1)}))'
        helper = self.callee(lambda helper: helper.result == 'bool')
        if helper and way < 9:
            return self.call_text(helper)
        return f'unsigned_less({self.word(depth - 1)}, {self.atom()})'
