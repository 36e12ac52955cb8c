"""Parameters and result of a kernel function, from its annotations; all must be there, none is inferred."""

import ast
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, get_origin

from .refusal import ANNOTATIONS, Place, Refused, text_of
from .source import name_of, source_of
from .types import Several, Text, Type, of_annotation, of_result


@dataclass(frozen=True)
class Signature:
    """What a function takes and gives."""

    name: str
    parameters: tuple[tuple[str, Type], ...]
    result: Type

    @property
    def wanted(self) -> str:
        """The parameters as one writes them."""
        return '(' + ', '.join(f'{name}: {kind}' for name, kind in self.parameters) + ')'


def hint_of(function: Callable[..., Any], name: str) -> Any:
    """What an annotation means, also where it is a string; `...`, which is no type, where it means nothing."""
    try:
        hint = function.__annotations__[name]
        return eval(hint, function.__globals__) if isinstance(hint, str) else hint
    except Exception:  # whatever the text of an annotation may raise
        return ...


@functools.lru_cache(maxsize=4096)
def signature_of(function: Callable[..., Any]) -> Signature:
    """Read the annotations of a function; what is missing or no type of kernel Python is refused."""
    source = source_of(function)
    node = source.node

    def refuse(at: ast.AST, name: str, /, **words: object) -> Refused:
        return Refused(name, Place.of(at, source.file, source.lines), **words)

    arguments = node.args
    for extra in (*arguments.posonlyargs, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg):
        if extra is not None:
            raise refuse(extra, 'parameter-kind')
    for default in arguments.defaults:
        raise refuse(default, 'default-value')
    parameters = []
    for argument in arguments.args:
        if argument.annotation is None:
            raise refuse(argument, 'no-annotation', name=argument.arg)
        kind = of_annotation(hint_of(function, argument.arg))
        if kind is None:
            found, hint = text_of(argument.annotation), hint_of(function, argument.arg)
            instead = f'{found} is a width in memory: write word' if get_origin(hint) is Annotated else ANNOTATIONS
            raise refuse(argument.annotation, 'annotation', found=found, instead=instead)
        parameters.append((argument.arg, kind))
    if node.returns is None:
        raise refuse(name_of(node), 'no-result-annotation', name=node.name)
    result = of_result(hint_of(function, 'return'))
    if result is None or (isinstance(result, Several) and any(isinstance(item, Text) for item in result.items)):
        instead = f'{ANNOTATIONS}; or with None, NoReturn or tuple[...]'
        raise refuse(node.returns, 'annotation', found=text_of(node.returns), instead=instead)
    return Signature(node.name, tuple(parameters), result)
