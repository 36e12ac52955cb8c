"""From LLVM IR to an object, an ELF image and code in memory. Takes kernel functions as data."""
