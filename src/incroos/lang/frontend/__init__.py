"""The front end: checks that a text is kernel Python and turns it into LLVM IR. Compiler and checker in one."""

from .refusal import MESSAGES, Refused
from .target import BARE, HOSTED, LIBRARY, RAW, Target, raw_with, simulated
from .unit import Unit, compile_unit

__all__ = [
    'BARE',
    'HOSTED',
    'LIBRARY',
    'MESSAGES',
    'RAW',
    'Refused',
    'Target',
    'Unit',
    'compile_unit',
    'raw_with',
    'simulated',
]
