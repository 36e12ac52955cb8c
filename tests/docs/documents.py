"""The documents of the repository, taken apart: sections, fenced blocks, links, and what they name.

Knows Markdown as far as these documents use it: `#` headings, fences of three backquotes, inline code, inline links.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGE: Final = ROOT / 'src' / 'incroos'

_FENCE: Final = re.compile(r'^```(\S*)\s*$')
_HEADING: Final = re.compile(r'^(#+) (.*)$')
_CODE: Final = re.compile(r'`([^`\n]+)`')
_LINK: Final = re.compile(r'!?\[[^\]]*\]\(([^)\s]+)\)')


@dataclass
class Block:
    """A fenced block: what kind it says it is, its lines, and the line of the document where its text begins."""

    kind: str
    line: int
    lines: list[str] = field(default_factory=list)


@dataclass
class Section:
    """What stands under one heading, down to the next."""

    title: str
    blocks: list[Block] = field(default_factory=list)


@dataclass
class Document:
    """One Markdown file."""

    path: Path
    sections: list[Section]
    prose: str  # without the fenced blocks

    @property
    def name(self) -> str:
        """The path in the checkout."""
        return str(self.path.relative_to(ROOT))

    @property
    def codes(self) -> list[str]:
        """All that stands between single backquotes."""
        return _CODE.findall(self.prose)

    @property
    def links(self) -> list[str]:
        """The targets of all links and pictures."""
        return _LINK.findall(_CODE.sub('', self.prose))

    @property
    def anchors(self) -> set[str]:
        """What a link to a heading of this document can end in."""
        return {anchor_of(section.title) for section in self.sections}

    @property
    def blocks(self) -> Iterator[Block]:
        """All fenced blocks, in order."""
        return (block for section in self.sections for block in section.blocks)


def anchor_of(title: str) -> str:
    """The name that GitHub gives a heading."""
    return re.sub(r'[^\w\- ]', '', title.lower()).replace(' ', '-')


def read_document(path: Path) -> Document:
    """Take a file apart."""
    sections, prose, block = [Section('')], list[str](), None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        fence, heading = _FENCE.match(line), _HEADING.match(line)
        if block is not None:
            if fence:
                block = None
            else:
                block.lines.append(line)
        elif fence:
            block = Block(fence[1], number + 1)
            sections[-1].blocks.append(block)
        else:
            prose.append(line)
            if heading:
                sections.append(Section(heading[2]))
    return Document(path, sections, '\n'.join(prose))


def documents() -> list[Document]:
    """All documents but the decisions: those are history, and name what there was when they were made."""
    folders = ('*.md', 'docs/*.md', 'examples/*/*.md')
    return [read_document(path) for folder in folders for path in sorted(ROOT.glob(folder))]
