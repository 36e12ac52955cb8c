"""DWARF for kernel code: Python files, lines and locals, so that a debugger on the booted kernel shows the Python text.

Format: LLVM's source-level debugging metadata. Off, it costs nothing.
"""

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llvmlite import ir

from .types import I32, Bool, Text, Type

if TYPE_CHECKING:
    from .builder import FunctionBase


class NoDebugInfo:
    """A build without debug information."""

    def start(self, function: 'FunctionBase') -> Any:
        """The builder at the function's first block."""
        return ir.IRBuilder(function.llvm.append_basic_block('entry'))

    def at_line(self, function: 'FunctionBase', node: ast.AST) -> None:
        """What follows comes from this line."""

    def declare(self, function: 'FunctionBase', name: str, kind: Type, slot: Any, node: ast.AST) -> None:
        """A local lives in this slot."""


class DebugInfo(NoDebugInfo):
    """Builds the metadata of one unit."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.unit: Any = None
        self.word = module.add_debug_info(
            'DIBasicType', {'name': 'word', 'size': 64, 'encoding': ir.DIToken('DW_ATE_signed')}
        )
        self.declare_function: Any = None
        for name, behaviour, value in (('Dwarf Version', 2, 4), ('Debug Info Version', 2, 3)):
            flag = [I32(behaviour), ir.MetaDataString(module, name), I32(value)]
            module.add_named_metadata('llvm.module.flags', module.add_metadata(flag))

    def file(self, path: str) -> Any:
        """The metadata of a source file."""
        parent = str(Path(path).parent)
        return self.module.add_debug_info('DIFile', {'filename': Path(path).name, 'directory': parent})

    def start(self, function: 'FunctionBase') -> Any:
        b = super().start(function)
        file, line = self.file(function.source.file), function.source.node.lineno
        if self.unit is None:
            self.unit = self.module.add_debug_info(
                'DICompileUnit',
                {
                    'language': ir.DIToken('DW_LANG_Python'),
                    'file': file,
                    'producer': 'incroos',
                    'isOptimized': False,
                    'runtimeVersion': 0,
                    'emissionKind': ir.DIToken('FullDebug'),
                },
                is_distinct=True,
            )
            self.module.add_named_metadata('llvm.dbg.cu', self.unit)
        words = self.module.add_metadata([self.word] * len(function.llvm.args))
        kind = self.module.add_debug_info('DISubroutineType', {'types': words})
        scope = self.module.add_debug_info(
            'DISubprogram',
            {
                'name': function.signature.name,
                'scope': file,
                'file': file,
                'line': line,
                'type': kind,
                'scopeLine': line,
                'unit': self.unit,
                'spFlags': ir.DIToken('DISPFlagDefinition'),
                'retainedNodes': self.module.add_metadata([]),
            },
            is_distinct=True,
        )
        function.llvm.set_metadata('dbg', scope)
        self.scope = scope
        return b  # parameters reach their slots without a line: a debugger skips that as the prologue

    def location(self, scope: Any, line: int, column: int) -> Any:
        return self.module.add_debug_info('DILocation', {'line': line, 'column': column, 'scope': scope})

    def at_line(self, function: 'FunctionBase', node: ast.AST) -> None:
        function.b.debug_metadata = self.location(self.scope, node.lineno, node.col_offset + 1)  # type: ignore[attr-defined]

    def declare(self, function: 'FunctionBase', name: str, kind: Type, slot: Any, node: ast.AST) -> None:
        if isinstance(kind, Text | Bool):  # neither is a word in its slot
            return
        if self.declare_function is None:
            metadata = ir.MetaDataType()
            self.declare_function = ir.Function(
                self.module, ir.FunctionType(ir.VoidType(), [metadata] * 3), 'llvm.dbg.declare'
            )
        variable = self.module.add_debug_info(
            'DILocalVariable',
            {
                'name': name,
                'scope': self.scope,
                'file': self.file(function.source.file),
                'line': getattr(node, 'lineno', 0),
                'type': self.word,
            },
        )
        expression = self.module.add_debug_info('DIExpression', {})
        line = function.b.debug_metadata
        function.b.debug_metadata = line or self.location(self.scope, function.source.node.lineno, 1)
        function.b.call(self.declare_function, [slot, variable, expression])
        function.b.debug_metadata = line
