"""Texts that are nearly kernel Python: the front end compiles them to sound IR or refuses them, and does nothing else.

Right programs are changed at random places, into things that Python knows and things that mean something elsewhere.
"""

import ast
import copy
import random
import re
import warnings
from typing import Any, Final

import llvmlite.binding as llvm
import pytest

from incroos.lang.frontend import RAW, Refused, compile_unit

from ..budget import FULL
from .sample import define
from .test_meaning import HEAD, SAMPLES

NR_MUTANTS: Final = 20_000 if FULL else 600
NR_GROUPS: Final = 4
BASES: Final = [HEAD + text for text in SAMPLES.values()]
EXPRESSIONS: Final = r"""
0   1   -1   1 << 63   0xFFFF_FFFF_FFFF_FFFF   True   None   ...   1.5   1j   'text'   b'text'   b''   a   s   s.m
s.addr   s.inner   s.items   s.items[0]   s.parts   s.rest   s.rest[a]   s.missing   s[0]   log   log(s, 1)   log(s)
log(s, 1, 2)   log(s, value=1)   log(*s)   log(s, **a)   log(1, s)   log.x   State   State.SIZE   State.FIELDS
State(s.m, s.addr)   State(1)   Inner   VirtAddr   VirtAddr(a)   VirtAddr(s)   PhysAddr(VirtAddr(1))
offset_of(State, "small")   offset_of(a, a)   offset_of(State, a)   print   print(a)   len   len(a)   len(b"a")
min(a)   max(s, s)   range   range(3)   int(a)   bool(a)   load64(s.m, s.addr)   load64(s, s)   load64
store8(s.m, s.addr, a)   cpuid(s.m, 0, 0)   in8(s.m, 1)   add_wrap(a, a)   shl_wrap(a, s)   count_ones(True)
unsigned_less(a, a)   call4(s.m, a, 1, 2, 3, 4)   (a, a)   [a]   {a}   {a: a}   [x for x in a]   (x for x in a)
lambda: a   lambda a: a   (b := a)   f"{a}"   not a   not True   -a   ~a   +a   -s   -True   ~True
a if True else s   a if a else a   a and a   True and False   a < a   a < a < a   a < s   s == s   a is a   a in s
a // 0   a % -1   a ** a   a[0]   b"abc"[0]   b"abc"[9]   b"abc"[1:2]   s.items[a:]   s.items[0, 1]   s.items[True]
s.items[-1]   f   f(s, a)   __name__   __builtins__   __debug__   kernel   Struct   Machine   missing   missing()
1 < 2   5 << 3   7 // 2   yield_   s.m.load64(1)   (lambda: 1)()   "a".join(a)   State.count   s.count.x
"""
STATEMENTS: Final = r"""
pass   return   return a   return a, a   return None   break   continue   a = 1   a = s   s = a   s = s   a += 1
a += s   s += a   a = b = 1   a, b = 1, 2   a, b = a   (a, b), c = a   [a, b] = 1, 2   a, *b = 1, 2   s.count = 1
s.count = s   s.small = 256   s.inner = 1   s.addr = 1   s.m = s.m   s.missing = 1   State.SIZE = 1   s.items[0] = 1
s.items = 1   s.items[s] = 1   s.parts[0] = 1   log = 1   b"a"[0] = 1   a: word = 1   a: word   if a: pass
if a > 0: return a   while a: pass   while a > 0: a -= 1   while True: pass   while True: break
for a in range(3): pass   for a in s: pass   for s in range(3): pass   for a, b in s: pass   for s.count in a: pass
for i in range(): pass   for i in range(1, 2, 0): pass   for i in b"abc": a = i
for i in range(3): pass\nelse: pass   del a   global a   import os   assert a   raise a   yield a   class A: pass
def g(): pass   lambda: a   "text"   try: pass\nfinally: pass   with s: pass   match a:\n case 1: pass
async def g(): pass   nonlocal a   print(a)   ...   log(s, 1)   load64   load64(s.m, s.addr)
copy(s.m, s.addr, s.addr, -1)   fill(s.m, s.addr, 0, 0)   cpuid(s.m, 0, 0)
"""
ANNOTATIONS: Final = """
word   int   bool   bytes   str   None   State   Struct   Machine   VirtAddr   u8   u64   NoReturn   list   list[int]
tuple   tuple[word]   tuple[word, word]   missing   "word"   1   Annotated[Array[u64], 4]   PhysAddr   Inner   word
"""


def one_of(texts: str, chance: random.Random) -> str:
    """One of the texts of a list, which are at least three blanks apart."""
    return chance.choice([text for text in re.split(r' {3}|\n', texts) if text]).replace(r'\n', '\n')


class Mutator(ast.NodeTransformer):
    """Puts other things into some places of the functions."""

    def __init__(self, chance: random.Random, nr_nodes: int) -> None:
        self.chance, self.rate = chance, 1.5 / nr_nodes

    def visit(self, node: ast.AST) -> Any:
        node = self.generic_visit(node)
        if self.chance.random() > self.rate:
            return node
        if isinstance(node, ast.arg):
            node.annotation = self.annotation()
        elif isinstance(node, ast.FunctionDef):
            node.returns = self.annotation()
        elif isinstance(node, ast.expr) and not isinstance(getattr(node, 'ctx', None), ast.Store):
            return ast.parse(one_of(EXPRESSIONS, self.chance), mode='eval').body
        elif isinstance(node, ast.stmt):
            new = ast.parse(one_of(STATEMENTS, self.chance)).body
            return [*new, node] if self.chance.random() < 0.5 else new
        return node

    def annotation(self) -> Any:
        return ast.parse(one_of(ANNOTATIONS, self.chance), mode='eval').body


def mutant(seed: int) -> str:
    chance = random.Random(seed)
    tree = ast.parse(chance.choice(BASES))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    function = chance.choice(functions)
    nr_nodes = sum(1 for _ in ast.walk(function))
    mutator = Mutator(chance, nr_nodes)
    function.body = [part for node in function.body for part in _as_list(mutator.visit(copy.deepcopy(node)))]
    function.args = mutator.visit(function.args)
    return ast.unparse(ast.fix_missing_locations(tree)) + '\n'


def _as_list(node: Any) -> list[Any]:
    return node if isinstance(node, list) else [node]


@pytest.mark.parametrize('group', range(NR_GROUPS))
def test_a_text_is_compiled_or_refused(group: int) -> None:
    outcomes = {'compiled': 0, 'refused': 0, 'no Python': 0}
    for seed in range(group, NR_MUTANTS, NR_GROUPS):
        text = mutant(seed)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter('ignore')  # CPython's own, of what is odd
                function = define(text).f
        except Exception:
            outcomes['no Python'] += 1
            continue
        try:
            unit = compile_unit({'f': function}, RAW, checked=seed % 2 == 0, debug=seed % 3 == 0)
        except Refused:
            outcomes['refused'] += 1
        except Exception as error:
            raise AssertionError(f'seed {seed}: {error!r}\n{text}') from error
        else:
            outcomes['compiled'] += 1
            llvm.parse_assembly(unit.ir).verify()
    assert min(outcomes['compiled'], outcomes['refused']) > NR_MUTANTS // NR_GROUPS // 5, outcomes
