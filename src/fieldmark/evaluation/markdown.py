r"""Markdown that shows names from outside as what they are, and counts what is left to a person.

Pure. Class names, file names and layer lists come from folders that anyone may have written:
:func:`plain` makes them safe in running text and in tables, :func:`code` in code. Neither ever
begins a line with one, so that no name becomes a heading or an item of a list.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from fieldmark.evaluation.wording import printable

_SPECIAL: Final = re.compile(r"([\\`*_\[\]<>|~&$])")
_LINK: Final = re.compile(r"(?i)(?<=[a-z])(://)|(?<=www)(\.)|(@)")
"""What readers turn into links by themselves."""
_FIRST: Final = re.compile(r"^(\s*\d*)((?<!\d)[-+#=]+(?!\w)|[.)](?!\S))")
"""What makes an item, a heading or a line where a text begins with it."""
_OPEN: Final = "- [ ] **For you to write.** "


def plain(text: str) -> str:
    r"""Return a text in one line, every sign of which is shown as it is; safe in a table too.

    Examples
    --------
    >>> print(plain("a|b <script>"))
    a\|b \<script\>
    """
    marked = _SPECIAL.sub(r"\\\1", printable(text))
    marked = _FIRST.sub(r"\1\\\2", marked)
    return _LINK.sub(lambda found: "\\" + found[0], marked)


def code(text: str) -> str:
    """Return a text as inline code, whatever backticks it holds; not for tables.

    Examples
    --------
    >>> code("a`b"), code("")
    ('``a`b``', '')
    """
    shown = printable(text)
    if not shown:
        return ""
    fence = "`" * (_longest_run(shown) + 1)
    pad = " " if shown[0] in "` " or shown[-1] in "` " else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def block(lines: Iterable[str], language: str = "") -> list[str]:
    """Return lines as a block of code; each of them stays one line.

    Examples
    --------
    >>> block(["fieldmark train flowers"], "sh")
    ['```sh', 'fieldmark train flowers', '```']
    """
    shown = [printable(line) for line in lines]
    fence = "`" * max(3, *(_longest_run(line) + 1 for line in shown))
    return [f"{fence}{language}", *shown, fence]


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table; cells with names in them went through :func:`plain`.

    Examples
    --------
    >>> table(["class", "n"], [["rose", "12"]])
    ['| class | n |', '|---|---|', '| rose | 12 |']
    """
    lines = [list(heads), *(list(row) for row in rows)]
    written = [f"| {' | '.join(cells)} |" for cells in lines]
    return [written[0], "|" + "---|" * len(heads), *written[1:]]


def left_open(question: str) -> str:
    """Return the line of something only a person knows; :func:`n_open` counts them."""
    return _OPEN + question


def n_open(text: str) -> int:
    """Count what is still left for a person to write.

    Examples
    --------
    >>> n_open(left_open("What is it for?")), n_open("It is for roses.")
    (1, 0)
    """
    return sum(line.startswith(_OPEN) for line in text.splitlines())


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
