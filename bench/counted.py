"""`incroos` with the arguments given, which also counts the functions that it compiles.

usage: counted.py <file> <argument of incroos> ...

The number goes into the file. bench/against.py runs it under the Python of a checkout. It counts where LLVM is handed
the text, so that it need not know how that checkout's compiler is made.
"""

import sys
from pathlib import Path
from typing import Any

import llvmlite.binding

from incroos.cli import main


def count_into(file: Path) -> None:
    """Run the command; it ends the process."""
    nr_functions = 0
    parse = llvmlite.binding.parse_assembly

    def parse_and_count(*arguments: Any, **options: Any) -> Any:
        nonlocal nr_functions
        module = parse(*arguments, **options)
        nr_functions += sum(not function.is_declaration for function in module.functions)
        return module

    llvmlite.binding.parse_assembly = parse_and_count
    try:
        main()
    finally:
        file.write_text(f'{nr_functions}\n')


if __name__ == '__main__':
    count_into(Path(sys.argv.pop(1)))
