"""What the front end says when a text is not kernel Python: the place, a caret under it, what to write instead.

All sentences are in this table, so that the tests can show each of them and docs/language.md can list them. A sentence
names what was found and, where that helps, what was wanted.
"""

import ast
from typing import Final, NamedTuple

from incroos.broken_text import quoted

ANNOTATIONS: Final = 'annotate with word, a NewType of int, bool, a Struct, Machine or bytes'

# name: (why it is refused, what to write instead)
MESSAGES: Final[dict[str, tuple[str, str]]] = {
    # functions
    'recursion': ('{cycle}: kernel code does not recurse', 'write a loop; the stack of a kernel is small and fixed'),
    'not-a-kernel-function': ('{name} is not a kernel function', '{instead}'),
    'decorator': (
        'a kernel function has no decorator but @kernel, @cold, @apart and @inlined',
        'take the decorator away',
    ),
    'contrary-marks': ('{name} is both @inlined and @{mark}: in its callers, and out of them', 'keep one of the marks'),
    'parameter-kind': ('a kernel function takes plain positional parameters only', 'write (a: word, b: word)'),
    'default-value': ('a parameter has no default value', 'pass the value in every call'),
    'no-annotation': ('{name} has no annotation', ANNOTATIONS),
    'annotation': ('{found} is not a type of kernel Python', '{instead}'),
    'no-result-annotation': ('{name} does not say what it gives back', 'annotate it: -> word, or -> None'),
    'too-deep': ('{name} is nested too deep', 'compute in steps, or in functions of their own'),
    'falls-off': ('{name} can end without a result', 'return a value on every path'),
    'returns-after-all': (
        '{name} is NoReturn but can come to its end',
        'end it with a loop that never ends, or with a call of another',
    ),
    'result-type': ('{name} gives {wanted}, found {found}', '{instead}'),
    'result-missing': ('{name} gives {wanted}, this return gives nothing', 'return a value'),
    # statements
    'statement': ('{what} is not kernel Python', '{instead}'),
    'pattern': ('{what} is not kernel Python in a case', '{instead}'),
    'case-twice': ('{number} has a case already', 'take one of them away'),
    'never-runs': ('this statement never runs', 'take it away'),
    'several-targets': ('one assignment has one target', 'write one assignment for each target'),
    'target': ('{name} cannot be assigned', '{instead}'),
    'assign-part': ('{name} is {what}: it cannot be assigned', '{instead}'),
    'changes-type': ('{name} is {wanted}, this makes it {found}', 'use another name, or {instead}'),
    'field-type': ('{name} holds {wanted}, found {found}', '{instead}'),
    'too-wide': ('{name} has {bits} bits: {value} does not fit', 'store 0 to {most}, or use a wider field'),
    'too-wide-number': ('{name} takes {bits} bits here: {value} does not fit', 'write 0 to {most}'),
    'unpack': ('{wanted} names for {found} results', 'name every result'),
    'unpack-what': ('only the results of a call, or a tuple, can be unpacked', 'write a, b = f(...) or a, b = b, a'),
    'for-over': ('a for loop goes over range(...) or bytes', 'write for i in range(n): or for char in text:'),
    'for-target': ('a for loop has one plain name', 'write for i in range(n):'),
    'loop-else': ('a loop has no else', 'use a variable that says how the loop ended'),
    'range-step': ('the step of a range is a constant that is not zero', 'write range(start, end, 1), or a while loop'),
    'range-arguments': ('range takes one to three words', 'write range(n), or range(start, end, step)'),
    'result-unused': ('this value is not used', 'assign it, or take the line away'),
    'condition': ('a condition is a bool, found {found}', '{instead}'),
    # expressions
    'expression': ('{what} is not kernel Python', '{instead}'),
    'constant': ('{what} is not a word', '{instead}'),
    'too-large': ('{value} does not fit a signed word', '{instead}'),
    'operator': ('the operator {what} is not kernel Python', '{instead}'),
    'operand': ('{what} wants words, found {found}', '{instead}'),
    'compare': ('{left} and {right} cannot be compared', '{instead}'),
    'divide-by-zero': ('division by zero', 'divide by something else'),
    'shift-count': ('a shift by {count}', 'shift by 0 to 63; shl_wrap and shr_logical take no more either'),
    'branches': ('the two values of a conditional expression are {left} and {right}', '{instead}'),
    'unknown-name': (
        '{name} is neither a local nor defined in the module',
        'assign it first, or define it in the module',
    ),
    'not-constant': ('{name} is {found}, not a number', '{instead}'),
    'maybe-unassigned': ('{name} may have no value here', 'assign it on every path that leads here'),
    'closure': ('{name} belongs to an enclosing function', 'pass it as a parameter'),
    'no-field': ('{struct} has no field {name}', 'its fields are {fields}'),
    'field-name': ('the name of a field is a string, found {name}', "write '{name}'"),
    'no-attribute': ('{found} has no attribute {name}', '{instead}'),
    'no-constant': ('the module {module} has no {name}', 'define it there'),
    'no-member': (
        '{protocol} has no {name}',
        'its members are {members}; what all designs have can be declared in it',
    ),
    'no-config': ('the build gives {found}, the kernel wants {wanted}', 'give compile_unit a {wanted}'),
    'not-indexable': ('{found} cannot be indexed', 'index an array field, or text'),
    'slice': ('a slice needs memory that the kernel does not have', 'index one element after the other'),
    'index-range': ('index {index} of {what}', 'index from 0 {end}'),
    # calls
    'call-what': ('{name} is not a function', '{instead}'),
    'keyword': ('arguments have no names in a call', 'pass them in the order of the parameters'),
    'argument-count': ('{name}: {found} instead of {wanted} arguments', 'pass {parameters}'),
    'argument-type': ('{name} wants {wanted}, found {found}', '{instead}'),
    'no-value': ('{name} gives nothing', 'call it in a statement of its own'),
    'never-returns': ('{name} never returns', 'call it in a statement of its own, the last on its way'),
    'several-values': ('{name} gives several results', 'unpack them: a, b = {name}(...)'),
    'no-lowering': ('the target {target} has no primitive {name}', 'use it only in code for another target'),
}


def text_of(node: ast.AST) -> str:
    """The source of an expression, on one line."""
    try:
        return ast.unparse(node)
    except ValueError:  # CPython writes no number of more than 4300 digits
        return '...'


class Place(NamedTuple):
    """Where something stands in a source file; line and column count from 1."""

    file: str
    line: int
    column: int
    end_column: int
    text: str

    @classmethod
    def of(cls, node: ast.AST, file: str, lines: list[str]) -> 'Place':
        """The place of a node; if it spans lines, the part on its first line."""
        line, start = getattr(node, 'lineno', 1), getattr(node, 'col_offset', 0)
        text = lines[line - 1].rstrip('\n') if line <= len(lines) else ''
        encoded = text.encode()
        ends_here = getattr(node, 'end_lineno', line) == line
        end = getattr(node, 'end_col_offset', start + 1) if ends_here else len(encoded.rstrip())
        column = len(encoded[:start].decode(errors='ignore'))
        end_column = len(encoded[:end].decode(errors='ignore'))
        return cls(file, line, column + 1, max(end_column, column + 1) + 1, text)


class Refused(Exception):
    """The text is not kernel Python. `name` is the key in MESSAGES; str() is the whole message."""

    def __init__(self, name: str, place: Place, /, **words: object) -> None:
        why, instead = (part.format(**words) for part in MESSAGES[name])
        self.name, self.place, self.why, self.instead = name, place, why, instead
        line = quoted(place.text, place.column, place.end_column)
        super().__init__(f'{place.file}:{place.line}:{place.column}: {why}\n{line}\n  {instead}')
