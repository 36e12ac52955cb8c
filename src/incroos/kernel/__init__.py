"""The memory manager and the small kernel round it: the only code that is compiled for bare metal.

Everything here is kernel Python (docs/language.md). pyproject.toml says which room may import which.
"""
