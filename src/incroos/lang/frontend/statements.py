"""Statements: control flow, assignment, and where each local has a value on every path."""

import ast
from typing import Any, Final, NamedTuple, NoReturn

from ..structs import NumberField
from ..words import Width
from .calls import Calls
from .expressions import REFUSED as REFUSED_EXPRESSIONS
from .refusal import text_of
from .types import (
    I64,
    NO_RETURN,
    NOTHING,
    WORD,
    ArrayView,
    Bool,
    Nothing,
    Several,
    Text,
    TheMachine,
    Type,
    View,
    Word,
    comparable,
    fits,
    how_to_compare,
    how_to_make,
    is_number,
)
from .values import LocalPlace, MemoryPlace, Place, Value, place_of_field

# kind of node: (what it is, what to write instead)
REFUSED: Final[dict[str, tuple[str, str]]] = {
    'Try': ('try', 'give back a negative code; a broken invariant is a panic'),
    'TryStar': ('try', 'give back a negative code; a broken invariant is a panic'),
    'Raise': ('raise', 'give back a negative code; a broken invariant is a panic'),
    'With': ('with', 'call the function that begins and the one that ends'),
    'Assert': ('assert', 'write if ...: panic(k, ...)'),
    'Delete': ('del', 'take it away: locals end with the function'),
    'Global': ('global', 'keep state in the Kernel struct'),
    'Nonlocal': ('nonlocal', 'keep state in the Kernel struct'),
    'Import': ('an import inside a function', 'import at the head of the file'),
    'ImportFrom': ('an import inside a function', 'import at the head of the file'),
    'FunctionDef': ('a function inside a function', 'define it in the module, and pass what it needs'),
    'AsyncFunctionDef': ('async', 'write a plain function'),
    'ClassDef': ('a class inside a function', 'define it in the module'),
    'AnnAssign': ('an annotated assignment', 'take the annotation away: a local has the type of its first value'),
}


# kind of pattern: (what it is, what to write instead)
REFUSED_PATTERNS: Final[dict[str, tuple[str, str]]] = {
    'MatchSingleton': ('True, False or None', 'write if and else'),
    'MatchSequence': ('a sequence', 'match one word'),
    'MatchMapping': ('a mapping', 'match one word'),
    'MatchClass': ('a class', 'match one word'),
}


GUARD_WEIGHTS: Final = (1, 100)  # of taking it and of going on


class Loop(NamedTuple):
    """Where break and continue go, and what was assigned at each break."""

    again: Any
    end: Any
    at_breaks: list[frozenset[str]]


def has_break(nodes: list[ast.stmt]) -> bool:
    """Whether a break in a block ends the loop whose body the block is."""
    parts: list[ast.stmt] = []
    for node in nodes:
        if isinstance(node, ast.If):
            parts += [*node.body, *node.orelse]
        elif isinstance(node, ast.Match):
            parts += [part for case in node.cases for part in case.body]
    return any(isinstance(node, ast.Break) for node in nodes) or (bool(parts) and has_break(parts))


def always_leaves(nodes: list[ast.stmt]) -> bool:
    """Whether every path through a block ends with a return, break or continue."""
    last = nodes[-1] if nodes else None
    if isinstance(last, ast.If):
        return always_leaves(last.body) and always_leaves(last.orelse)
    if isinstance(last, ast.Match):
        is_total = isinstance(last.cases[-1].pattern, ast.MatchAs)
        return is_total and all(always_leaves(case.body) for case in last.cases)
    return isinstance(last, ast.Return | ast.Break | ast.Continue)


def fits_case(subject: Value, numbers: list[int] | None) -> bool:
    """Whether a case with these numbers matches a known subject."""
    return numbers is None or subject.number in numbers


class Statements(Calls):
    """The part of compiling a function that deals with statements."""

    loops: list[Loop]
    is_cut: bool  # that nothing runs here is a choice of the build

    def statements(self, nodes: list[ast.stmt]) -> None:
        """A block; a statement that can never run is refused, or dropped where another configuration runs it."""
        for node in nodes:
            if self.b.block.is_terminated:
                if self.is_cut:
                    return
                self.refuse(node, 'never-runs')
            emit = getattr(self, f'do_{type(node).__name__}', None)
            if emit is None:
                what, instead = REFUSED.get(type(node).__name__, (type(node).__name__, 'see docs/language.md'))
                self.refuse(node, 'statement', what=what, instead=instead)
            self.unit.debug.at_line(self, node)
            emit(node)

    def do_Pass(self, node: ast.Pass) -> None:
        pass

    def do_Expr(self, node: ast.Expr) -> None:
        is_docstring = node is self.source.node.body[0] and isinstance(node.value, ast.Constant)
        if is_docstring and isinstance(node.value.value, str):  # type: ignore[attr-defined]
            return
        if not isinstance(node.value, ast.Call) and type(node.value).__name__ not in REFUSED_EXPRESSIONS:
            self.refuse(node, 'result-unused')
        self.any_value(node.value)

    # ---------------------------------------------------------------- assignment
    def do_Assign(self, node: ast.Assign) -> None:
        if len(node.targets) != 1:
            self.refuse(node, 'several-targets')
        target = node.targets[0]
        if isinstance(target, ast.Tuple):
            self.unpack(node, target)
        elif isinstance(target, ast.List):
            self.refuse_target(target, 'write a, b = ...')
        else:
            value = self.value(node.value)
            self.put(self.place(target), value, node)

    def unpack(self, node: ast.Assign, target: ast.Tuple) -> None:
        """a, b = f(...) and a, b = b, a: all values are computed before the first is stored."""
        if isinstance(node.value, ast.Tuple):
            values = [self.value(element) for element in node.value.elts]
        else:
            several = self.any_value(node.value)
            self.refuse_nothing(node.value, several.type)
            if not isinstance(several.type, Several):
                self.refuse(node.value, 'unpack-what')
            values = self.split(several)
        if len(values) != len(target.elts):
            self.refuse(target, 'unpack', wanted=len(target.elts), found=len(values))
        for element, value in zip(target.elts, values, strict=True):
            self.put(self.place(element), value, node)

    def split(self, several: Value) -> list[Value]:
        """The values of a call with several results."""
        assert isinstance(several.type, Several)
        return [
            self.result(kind, self.b.extract_value(several.llvm, index))
            for index, kind in enumerate(several.type.items)
        ]

    def do_AugAssign(self, node: ast.AugAssign) -> None:
        place = self.place(node.target)
        if isinstance(place, LocalPlace):
            assert isinstance(node.target, ast.Name)
            old = self.of_Name(node.target)
        else:
            old = self.load_place(place)
        self.put(place, self.binary(node, old, self.value(node.value)), node)

    def refuse_target(self, target: ast.expr, instead: str) -> NoReturn:
        """Refuse an assignment to something."""
        raise self.refusal(target, 'target', name=text_of(target), instead=instead)

    def place(self, target: ast.expr) -> Place:
        """Where an assignment goes."""
        if isinstance(target, ast.Name):
            return LocalPlace(target.id)
        if isinstance(target, ast.Subscript):
            base = self.value(target.value)
            if isinstance(base.type, Text):
                self.refuse_target(target, 'text does not change: put bytes into an array')
            pointer, field = self.element(target, base)
            if not isinstance(field.element, Width):
                instead = 'assign its fields'
                self.refuse(target, 'assign-part', name=text_of(target), what='a struct', instead=instead)
            return MemoryPlace(pointer, field.element, field.kind)
        if isinstance(target, ast.Attribute):
            return self.field_place(target)
        return self.refuse_target(target, 'assign to locals, fields or elements')

    def field_place(self, target: ast.Attribute) -> MemoryPlace:
        """Where a number field lies."""
        if self.is_choice(target):
            instead = 'use another configuration'
            self.refuse(target, 'assign-part', name=text_of(target), what='a constant of the build', instead=instead)
        if self.is_static(target.value):
            self.refuse_target(target, 'keep what changes in a Struct')
        base = self.value(target.value)
        if isinstance(base.type, View | ArrayView) and target.attr in ('addr', 'm'):
            self.refuse_target(target, 'make another view')
        if isinstance(base.type, View):
            field = base.type.struct.FIELDS.get(target.attr)
            if isinstance(field, NumberField):
                return place_of_field(self.at(base.llvm, field.offset), field)
        found = self.of_Attribute(target).type  # refuses what is no field at all
        what, instead = {
            View: ('a struct', 'assign its fields'),
            ArrayView: ('an array', 'assign its elements'),
        }.get(type(found), ('a constant of the build', 'use another configuration'))
        raise self.refusal(target, 'assign-part', name=text_of(target), what=what, instead=instead)

    def put(self, place: Place, value: Value, node: ast.Assign | ast.AugAssign) -> None:
        """Store a value at a place."""
        if isinstance(place, LocalPlace):
            self.put_local(place.name, value, node)
            return
        if not is_number(value.type):
            instead = f'store its addr: {text_of(node)}.addr' if isinstance(value.type, View) else 'store a word'
            self.refuse(node, 'operand', what='a number in memory', found=value.type, instead=instead)
        wanted: Type = Word(place.kind)
        name = text_of(node.target if isinstance(node, ast.AugAssign) else node.targets[0])
        if not fits(value.type, wanted):
            instead = how_to_make(value.type, wanted)
            self.refuse(node, 'field-type', name=name, wanted=wanted, found=value.type, instead=instead)
        bits = place.width.bits
        if value.number is not None and not place.width.fits(value.number):
            self.refuse(node, 'too-wide', name=name, bits=bits, value=value.number, most=(1 << bits) - 1)
        self.store(place.pointer, place.width, self.as_word(value), node)

    def put_local(self, name: str, value: Value, node: ast.AST) -> None:
        """Assign to a local; the first value decides its type."""
        if isinstance(value.type, TheMachine):
            self.variables.setdefault(name, value)
        elif name not in self.variables:
            with self.b.goto_entry_block():
                slot = self.b.alloca(value.type.local, name=name)
            self.variables[name] = Value(value.type, slot)
            self.unit.debug.declare(self, name, value.type, slot, node)
        wanted, slot, _ = self.variables[name]
        if not fits(value.type, wanted):
            instead = how_to_make(value.type, wanted)
            self.refuse(node, 'changes-type', name=name, wanted=wanted, found=value.type, instead=instead)
        if not isinstance(wanted, TheMachine):
            self.b.store(value.llvm if value.type == wanted else self.as_word(value), slot)
        if self.assigned is not None:
            self.assigned |= {name}

    # ---------------------------------------------------------------- leaving
    def do_Return(self, node: ast.Return) -> None:
        wanted, name = self.signature.result, self.signature.name
        if wanted == NO_RETURN:
            if isinstance(node.value, ast.Call):
                self.refuse_nothing(node.value, self.any_value(node.value).type)
            self.refuse(node, 'returns-after-all', name=name)
        if node.value is None or (isinstance(node.value, ast.Constant) and node.value.value is None):
            if wanted != NOTHING:
                self.refuse(node, 'result-missing', name=name, wanted=wanted)
            self.b.ret_void()
        elif isinstance(wanted, Several):
            self.return_several(node, wanted)
        else:
            value = self.any_value(node.value)
            self.refuse_nothing(node.value, value.type)
            self.check_result(node, value.type, wanted)
            self.b.ret(self.returned(value, wanted))
        self.assigned = None

    def check_result(self, node: ast.Return, found: Type, wanted: Type) -> None:
        """Refuse a result whose type is not the one that the function declares."""
        if isinstance(wanted, Nothing) or not fits(found, wanted):
            instead = 'return nothing' if isinstance(wanted, Nothing) else how_to_make(found, wanted)
            name = self.signature.name
            self.refuse(node, 'result-type', name=name, wanted=wanted, found=found, instead=instead)

    def returned(self, value: Value, wanted: Type) -> Any:
        """The representation of a result between functions."""
        if isinstance(wanted, View):
            return self.b.ptrtoint(value.llvm, I64)
        return value.llvm if isinstance(wanted, Text) else self.as_word(value)

    def return_several(self, node: ast.Return, wanted: Several) -> None:
        """return a, b; or the results of another call, unchanged."""
        assert node.value is not None
        if isinstance(node.value, ast.Tuple):
            values = [self.value(element) for element in node.value.elts]
        else:
            found = self.any_value(node.value)
            self.refuse_nothing(node.value, found.type)
            if not isinstance(found.type, Several):
                self.check_result(node, found.type, wanted)
            values = self.split(found)
        if len(values) != len(wanted.items):
            self.check_result(node, Several(tuple(value.type for value in values)), wanted)
        result = wanted.local(None)
        for index, (value, kind) in enumerate(zip(values, wanted.items, strict=True)):
            self.check_result(node, value.type, kind)
            result = self.b.insert_value(result, self.returned(value, kind), index)
        self.b.ret(result)

    def do_Break(self, node: ast.Break) -> None:
        loop = self.loops[-1]
        if self.assigned is not None:
            loop.at_breaks.append(self.assigned)
        self.b.branch(loop.end)
        self.assigned = None

    def do_Continue(self, node: ast.Continue) -> None:
        self.b.branch(self.loops[-1].again)
        self.assigned = None

    # ---------------------------------------------------------------- branches
    def do_If(self, node: ast.If) -> None:
        chosen = self.choice_of(node.test)
        if chosen is not None:
            self.take_way(*((node.body, [node.orelse]) if chosen else (node.orelse, [node.body])))
            return
        test = self.condition(node.test)
        yes, no, end = (self.llvm.append_basic_block() for _ in range(3))
        branch = self.b.cbranch(test, yes, no)
        if self.is_guard(node):
            branch.set_weights(GUARD_WEIGHTS)
        before, after, cuts = self.assigned, [], []
        for block, body in ((yes, node.body), (no, node.orelse)):
            self.b.position_at_end(block)
            self.assigned, self.is_cut = before, False
            self.statements(body)
            cuts.append(self.is_cut)
            if not self.b.block.is_terminated:
                self.b.branch(end)
                after.append(self.assigned)
        self.is_cut = any(cuts)
        self.go_on_at(end, after)

    def take_way(self, body: list[ast.stmt], others: list[list[ast.stmt]]) -> None:
        """Compile the branch that the build chose; others may need primitives that this target does not have."""
        before = self.assigned
        self.statements(body)
        if self.b.block.is_terminated:
            self.is_cut = self.is_cut or not all(map(always_leaves, others))
        elif [] in others:
            self.assigned = before  # what the way assigns has a value under this choice alone

    # ---------------------------------------------------------------- match
    def do_Match(self, node: ast.Match) -> None:
        """A switch; if the build decides it, only the chosen case is compiled."""
        is_choice = self.is_fixed(node.subject) and any(map(self.is_choice, ast.walk(node.subject)))
        subject = self.value(node.subject)
        if not isinstance(subject.type, Word):
            instead = 'write if and else' if isinstance(subject.type, Bool) else 'match a word'
            self.refuse(node.subject, 'operand', what='match', found=subject.type, instead=instead)
        numbers = self.numbers_of_cases(node, subject)
        is_total = numbers[-1] is None
        if is_choice:
            fitting = [case.body for case, found in zip(node.cases, numbers, strict=True) if fits_case(subject, found)]
            others = [case.body for case in node.cases if case.body not in fitting[:1]]
            self.take_way(fitting[0] if fitting else [], others if is_total else [*others, []])
            return
        end = self.llvm.append_basic_block()
        blocks = [self.llvm.append_basic_block() for _ in node.cases]
        switch = self.b.switch(subject.llvm, blocks[-1] if is_total else end)
        for block, found in zip(blocks, numbers, strict=True):
            for number in found or ():
                switch.add_case(I64(number), block)
        before, after, cuts = self.assigned, [] if is_total else [self.assigned], []
        for block, case in zip(blocks, node.cases, strict=True):
            self.b.position_at_end(block)
            self.assigned, self.is_cut = before, False
            self.statements(case.body)
            cuts.append(self.is_cut)
            if not self.b.block.is_terminated:
                self.b.branch(end)
                after.append(self.assigned)
        self.is_cut = any(cuts)
        self.go_on_at(end, after)

    def numbers_of_cases(self, node: ast.Match, subject: Value) -> list[list[int] | None]:
        """The numbers of each case, None for the default; no number has two cases."""
        seen: set[int] = set()
        result: list[list[int] | None] = []
        for case in node.cases:
            pattern = case.pattern
            if case.guard is not None:
                self.refuse(case.guard, 'pattern', what='if', instead='write the if inside the case')
            if isinstance(pattern, ast.MatchAs) and pattern.pattern is None and pattern.name is None:
                result.append(None)
                continue
            parts = pattern.patterns if isinstance(pattern, ast.MatchOr) else [pattern]
            result.append([self.number_of_pattern(part, subject, seen) for part in parts])
        return result

    def number_of_pattern(self, pattern: ast.pattern, subject: Value, seen: set[int]) -> int:
        """The number of a pattern, recorded as seen."""
        if isinstance(pattern, ast.MatchAs):
            what = 'a name alone, which would take all,'
            instead = 'write module.NAME for a constant, and case _: for all others'
            if pattern.pattern is not None:
                what, instead = 'as', 'give the value a name before the match'
            elif pattern.name is None:
                what, instead = '_ beside others', 'write case _:'
            self.refuse(pattern, 'pattern', what=what, instead=instead)
        if not isinstance(pattern, ast.MatchValue):
            what, instead = REFUSED_PATTERNS.get(type(pattern).__name__, (text_of(pattern), 'match one word'))
            self.refuse(pattern, 'pattern', what=what, instead=instead)
        value = self.value(pattern.value) if self.is_fixed(pattern.value) else None
        if value is None or value.number is None:
            instead = 'write an integer, or module.NAME of one'
            self.refuse(pattern, 'pattern', what=text_of(pattern), instead=instead)
        if not comparable(subject.type, value.type):
            instead = how_to_compare(subject.type, value.type)
            self.refuse(pattern, 'compare', left=subject.type, right=value.type, instead=instead)
        if value.number in seen:
            self.refuse(pattern, 'case-twice', number=value.number)
        seen.add(value.number)
        return value.number

    # ---------------------------------------------------------------- choices of the build
    def choice_of(self, test: ast.expr) -> bool | None:
        """The value of a test that the build decides, as k.config.space == MODERN_SPACE; None for all others."""
        if isinstance(test, ast.BoolOp):
            deciding = isinstance(test.op, ast.Or)
            for operand in test.values:
                found = self.choice_of(operand)
                if found is None or found == deciding:
                    return found
            return not deciding
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            found = self.choice_of(test.operand)
            return None if found is None else not found
        if not self.is_fixed(test) or not any(self.is_choice(part) for part in ast.walk(test)):
            return None
        value = self.value(test)
        return bool(value.llvm.constant) if isinstance(value.type, Bool) else None

    def is_guard(self, node: ast.If) -> bool:
        """Whether an `if` only leaves the function with a code: a negative constant, or a local that holds one.

        If the test is an equation, LLVM assumes that it holds, and then moves the code that follows out of line.
        """
        if node.orelse or len(node.body) != 1 or not isinstance(node.body[0], ast.Return):
            return False
        given = node.body[0].value
        while isinstance(given, ast.Call) and len(given.args) == 1:
            given = given.args[0]  # PhysAddr(NO_FRAME)
        if isinstance(given, ast.Name) and given.id in self.local_names:
            return True
        if isinstance(given, ast.Name | ast.Attribute) and self.is_static(given):
            number, _ = self.static(given)
            return isinstance(number, int) and number < 0
        return isinstance(given, ast.UnaryOp) and isinstance(given.op, ast.USub)

    def go_on_at(self, end: Any, states: list[frozenset[str] | None]) -> None:
        """Continue where several paths meet: a local has a value if it has one on each of them; no path, no code."""
        known = [state for state in states if state is not None]
        self.b.position_at_end(end)
        if known:
            self.assigned, self.is_cut = frozenset.intersection(*known), False
        else:
            self.b.unreachable()
            self.assigned = None

    # ---------------------------------------------------------------- loops
    def do_While(self, node: ast.While) -> None:
        if node.orelse:
            self.refuse(node.orelse[0], 'loop-else')
        top, inside, end = (self.llvm.append_basic_block() for _ in range(3))
        self.b.branch(top)
        self.b.position_at_end(top)
        for_ever = isinstance(node.test, ast.Constant) and node.test.value is True
        before = self.assigned
        if for_ever:
            self.b.branch(inside)
        else:
            self.b.cbranch(self.condition(node.test), inside, end)
        breaks = self.body(node.body, inside, Loop(top, end, []))
        self.is_cut = has_break(node.body)  # of a loop without an end the build may have dropped each break
        self.go_on_at(end, breaks if for_ever else [before])

    def body(self, nodes: list[ast.stmt], inside: Any, loop: Loop) -> list[frozenset[str] | None]:
        """Compile the body of a loop; returns what was assigned at each break."""
        self.b.position_at_end(inside)
        self.loops.append(loop)
        self.statements(nodes)
        self.loops.pop()
        if not self.b.block.is_terminated:
            self.b.branch(loop.again)
        return list(loop.at_breaks)

    def do_For(self, node: ast.For) -> None:
        if not isinstance(node.target, ast.Name):
            self.refuse(node.target, 'for-target')
        if node.orelse:
            self.refuse(node.orelse[0], 'loop-else')
        over = node.iter
        if isinstance(over, ast.Call) and self.is_static(over.func) and self.static(over.func)[0] is range:
            self.for_range(node, over)
            return
        text = self.value(over) if not isinstance(over, ast.List | ast.Tuple) else None
        if text is None or not isinstance(text.type, Text):
            self.refuse(over, 'for-over')
        length = self.b.extract_value(text.llvm, 1)
        self.counted(node, length, lambda index: self.character(text, index))

    def for_range(self, node: ast.For, over: ast.Call) -> None:
        """Python's range: its bounds are computed once, and it also ends correctly at the limits of the word."""
        if over.keywords or not 1 <= len(over.args) <= 3:
            self.refuse(over, 'range-arguments')
        values = [self.value(argument) for argument in over.args]
        for argument, value in zip(over.args, values, strict=True):
            if not is_number(value.type):
                self.refuse(argument, 'operand', what='range', found=value.type, instead='count with words')
        step = values[2].number if len(values) == 3 else 1
        if not step:
            self.refuse(over.args[-1], 'range-step')
        start, stop = (I64(0), self.as_word(values[0])) if len(values) == 1 else map(self.as_word, values[:2])
        low, high = (start, stop) if step > 0 else (stop, start)
        distance = self.b.sub(high, low)
        if abs(step) != 1:
            distance = self.b.add(self.b.udiv(self.b.sub(distance, I64(1)), I64(abs(step))), I64(1))
        turns = self.b.select(self.compare('<', low, high), distance, I64(0))
        self.counted(node, turns, lambda index: self.b.add(start, self.b.mul(index, I64(step))))

    def counted(self, node: ast.For, turns: Any, item: Any) -> None:
        """A loop with a fixed number of turns; its variable gets item(index); assigning it does not move the loop."""
        assert isinstance(node.target, ast.Name)
        top, inside, end = (self.llvm.append_basic_block() for _ in range(3))
        with self.b.goto_entry_block():
            counter = self.b.alloca(I64)
        self.b.store(I64(0), counter)
        self.b.branch(top)
        self.b.position_at_end(top)
        index = self.b.load(counter, typ=I64)
        self.b.cbranch(self.b.icmp_unsigned('<', index, turns), inside, end)
        before = self.assigned
        self.b.position_at_end(inside)
        self.b.store(self.b.add(index, I64(1)), counter)
        self.put_local(node.target.id, Value(WORD, item(index)), node.target)
        self.body(node.body, self.b.block, Loop(top, end, []))
        self.go_on_at(end, [before])
