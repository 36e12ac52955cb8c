"""Runs random programs with CPython, strictly: at which line a result leaves the word, or a check would fail.

`guarded` rewrites the operators of a program to calls that look at what comes out; `fill_state` gives a State numbers;
`shrink` takes statements out of a program as long as it still fails.
"""

import ast
import random
from collections.abc import Callable
from typing import Any, Final

from incroos.lang.structs import ArrayField, NumberField, Struct, StructField
from incroos.lang.words import WORD_MAX, WORD_MIN, Width

from .programs import EDGES


class LeavesTheWord(ArithmeticError):
    """What a checked build traps at."""


OPERATORS: Final[dict[str, Callable[[int, int], int]]] = {
    'Add': lambda a, b: a + b,
    'Sub': lambda a, b: a - b,
    'Mult': lambda a, b: a * b,
    'FloorDiv': lambda a, b: a // b,
    'Mod': lambda a, b: a % b,
    'BitAnd': lambda a, b: a & b,
    'BitOr': lambda a, b: a | b,
    'BitXor': lambda a, b: a ^ b,
    'LShift': lambda a, b: a << b,
    'RShift': lambda a, b: a >> b,
    'USub': lambda a, _: -a,
    'Invert': lambda a, _: ~a,
}


def operate(name: str, left: int, right: int) -> int:
    """Python's result, if a word can hold it."""
    if name in ('LShift', 'RShift') and not 0 <= right < 64:
        raise LeavesTheWord
    result = OPERATORS[name](left, right)
    if not WORD_MIN <= result <= WORD_MAX:
        raise LeavesTheWord
    return result


def augment(name: str, base: Any, where: Any, value: Callable[[], int], is_field: bool) -> None:
    """base.where OP= value, or base[where] OP= value; base and where are computed once."""
    if is_field:
        setattr(base, where, operate(name, getattr(base, where), value()))
    else:
        base[where] = operate(name, base[where], value())


GUARDS: Final = {'operate': operate, 'augment': augment}


class Guard(ast.NodeTransformer):
    """Rewrites each operator to a call of `operate`; the lines stay."""

    def visit_BinOp(self, node: ast.BinOp) -> Any:
        self.generic_visit(node)
        return self.call(node, node.op, node.left, node.right)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> Any:
        self.generic_visit(node)
        if isinstance(node.op, ast.Not) or isinstance(node.operand, ast.Constant):
            return node
        return self.call(node, node.op, node.operand, ast.Constant(0))

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        self.generic_visit(node)
        target = node.target
        if isinstance(target, ast.Name):
            value = self.call(node, node.op, ast.Name(target.id, ast.Load()), node.value)
            return ast.copy_location(ast.Assign([target], value), node)
        is_field = isinstance(target, ast.Attribute)
        where: Any = ast.Constant(target.attr) if isinstance(target, ast.Attribute) else target.slice
        nothing = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
        later = ast.Lambda(nothing, node.value)  # Python computes it after it has loaded the old value
        words = [ast.Constant(type(node.op).__name__), target.value, where, later, ast.Constant(is_field)]
        return ast.copy_location(ast.Expr(ast.Call(ast.Name('augment', ast.Load()), words, [])), node)

    @staticmethod
    def call(node: ast.AST, operator: ast.AST, left: Any, right: Any) -> Any:
        name = ast.Constant(type(operator).__name__)
        return ast.copy_location(ast.Call(ast.Name('operate', ast.Load()), [name, left, right], []), node)


def guarded(text: str) -> ast.Module:
    """The program with each operator checked."""
    tree = ast.parse(text)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            node.body = [Guard().visit(statement) for statement in node.body]
    return ast.fix_missing_locations(tree)


def fill_state(view: Struct, chance: random.Random) -> None:
    """Put a number into each field and element, mostly a small one."""
    for name, kind in view.FIELDS.items():
        if isinstance(kind, NumberField):
            setattr(view, name, a_number(kind.width, chance))
        elif isinstance(kind, StructField):
            fill_state(getattr(view, name), chance)
        elif isinstance(kind, ArrayField):
            array = getattr(view, name)
            for index in range(kind.length):
                if isinstance(kind.element, Width):
                    array[index] = a_number(kind.element, chance)
                else:
                    fill_state(array[index], chance)


def a_number(width: Width, chance: random.Random) -> int:
    number = chance.choice(EDGES) if chance.random() < 0.2 else chance.randrange(100)
    return number if width.fits(number) else number & 0xFF


def shrink(text: str, fails: Callable[[str], bool]) -> str:
    """The program with fewer statements that still fails."""
    position = 0
    while True:
        tree = ast.parse(text)
        blocks = [body for node in ast.walk(tree) for body in _blocks(node)]
        places = [(body, index) for body in blocks for index in range(len(body))]
        if position >= len(places):
            return text
        body, index = places[position]
        if _ends_a_loop(body[index]):
            position += 1
            continue
        del body[index]
        if not body:
            body.append(ast.Pass())
        shorter = ast.unparse(ast.fix_missing_locations(tree)) + '\n'
        if len(shorter) < len(text) and fails(shorter):
            text = shorter
        else:
            position += 1


def _ends_a_loop(statement: ast.stmt) -> bool:
    """Whether a loop might run for ever without it: a step of its counter, or a way out."""
    steps = isinstance(statement, ast.AugAssign) and ast.unparse(statement).endswith('-= 1')
    return steps or any(isinstance(node, ast.Break) for node in ast.walk(statement))


def _blocks(node: ast.AST) -> list[list[ast.stmt]]:
    if isinstance(node, ast.ClassDef):
        return []
    bodies = [getattr(node, name, None) for name in ('body', 'orelse')]
    return [body for body in bodies if isinstance(body, list)]
