"""The shortest program on which two answers differ: delta debugging over the steps."""

from collections.abc import Callable, Sequence

from .steps import Step


def shrink(steps: Sequence[Step], differs: Callable[[list[list[Step]]], list[bool]]) -> list[Step]:
    """Leave out steps while the answers differ.

    `differs` is given several programs at once, and says of each whether the answers differ. No step of the result can
    be left out by itself.
    """
    found = list(steps)
    size = max(len(found) // 2, 1)
    while True:
        tries = [found[:start] + found[start + size :] for start in range(0, len(found), size)]
        answers = differs(tries) if tries else []
        if any(answers):
            found = together(found, size, answers, differs)
        elif size == 1:
            return found
        else:
            size = max(size // 2, 1)


def together(
    found: list[Step], size: int, answers: list[bool], differs: Callable[[list[list[Step]]], list[bool]]
) -> list[Step]:
    """Without all pieces of which each can be left out, if that still differs; else without the first of them."""
    useless = {index for index, answer in enumerate(answers) if answer}
    rest = [step for index, step in enumerate(found) if index // size not in useless]
    if rest and differs([rest])[0]:
        return rest
    first = min(useless) * size
    return found[:first] + found[first + size :]
