"""Words for remarks and tables: numbers with what they count."""


def count(number: int, what: str) -> str:
    """A number with its noun: 1 block, 2 blocks, 3,000 blocks."""
    return f'{number:,} {what}{"" if number == 1 else "s"}'
