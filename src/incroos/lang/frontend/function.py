"""One kernel function, from its parameters to its end."""

import ast

from .refusal import text_of
from .statements import Statements
from .types import NO_RETURN, Nothing, TheMachine, View
from .values import Value


def local_names(node: ast.FunctionDef) -> set[str]:
    """The local names of a function by Python's rule: the parameters, and every name that it assigns."""
    stored = (child for child in ast.walk(node) if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store))
    return {argument.arg for argument in node.args.args} | {child.id for child in stored}


class FunctionBuilder(Statements):
    """Compiles one function."""

    def build(self) -> None:
        """Emit the whole function."""
        try:
            self.emit_all()
        except RecursionError:
            raise self.refusal(self.source.node, 'too-deep', name=self.signature.name) from None

    def emit_all(self) -> None:
        """Parameters, body and end."""
        node = self.source.node
        for decorator in node.decorator_list:
            if text_of(decorator).rpartition('.')[2] not in ('kernel', 'cold', 'apart', 'inlined'):
                self.refuse(decorator, 'decorator')
        self.local_names = local_names(node)
        self.variables, self.loops, self.assigned, self.is_cut = {}, [], frozenset(), False
        self.b = self.unit.debug.start(self)
        self.take_parameters()
        self.statements(node.body)
        if not self.b.block.is_terminated:
            self.fall_off()

    def take_parameters(self) -> None:
        """Each parameter becomes a local."""
        words = list(self.llvm.args[int(self.has_processor) :])
        for argument, (name, kind) in zip(self.source.node.args.args, self.signature.parameters, strict=True):
            if isinstance(kind, View | TheMachine):
                value = Value(kind, None if isinstance(kind, TheMachine) else words.pop(0))
            else:
                value = self.from_words(kind, words)
            self.put_local(name, value, argument)

    def fall_off(self) -> None:
        """The end of the body can be reached: allowed in a function without a result."""
        result = self.signature.result
        if result == NO_RETURN:
            self.refuse(self.source.node.body[-1], 'returns-after-all', name=self.signature.name)
        if not isinstance(result, Nothing):
            self.refuse(self.source.node.body[-1], 'falls-off', name=self.signature.name)
        self.b.ret_void()
