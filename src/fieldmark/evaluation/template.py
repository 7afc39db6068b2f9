"""What every page shares: one Jinja environment, how names and pictures get in, who wrote a file.

Pure. The frame with its content security policy is ``frame.html.j2``, tables and figures are
``parts.html.j2``, the looks are ``page.css``. Every text from outside is escaped by the environment
and passes the filter ``shown`` (one line), ``block`` (several) or ``said`` (a sentence) before.
"""

from __future__ import annotations

import base64
import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal

from fieldmark.errors import UsageError
from fieldmark.evaluation import wording

if TYPE_CHECKING:
    from jinja2 import Environment, Template

PageKind = Literal["report", "check", "show", "compare"]
"""The pages: of a run, of a check, of what a network is shown, of runs side by side."""

MAX_NAME: Final = 200
"""Characters of a class or file name; longer ones are cut, so that no name can flood a page."""
MAX_SENTENCE: Final = 1_000
"""Characters of a sentence about a finding."""

_PICTURES: Final = {b"\xff\xd8\xff": "jpeg", b"\x89PNG\r\n\x1a\n": "png"}


@functools.cache
def template(name: str) -> Template:
    """Compile a template once in a process: that takes longer than filling it in."""
    return _environment().get_template(name)


@functools.cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("fieldmark", "evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        shown=shown,
        said=_said,
        block=_block,
        cell=_cell,
        percent=wording.percent,
        counted=wording.counted,
    )
    return environment


def shown(text: str) -> str:
    """Return a name in one line of at most :data:`MAX_NAME` characters.

    Examples
    --------
    >>> len(shown("x" * 5000))
    200
    """
    return _cut(text, MAX_NAME)


def _said(text: str) -> str:
    return _cut(text, MAX_SENTENCE)


def _cut(text: str, limit: int) -> str:
    # Of a text of any length, only what can be shown is looked at; every sign takes at least one.
    line = wording.printable(str(text)[: limit + 1])
    return line if len(line) <= limit else line[: limit - 2] + ".."


def _block(text: str) -> str:
    return "\n".join(wording.printable(line) for line in str(text).split("\n"))


def _cell(value: str | float) -> str:
    return f"{value:,}" if isinstance(value, int) else shown(str(value))


def data_url(picture: bytes) -> str:
    """Return a JPEG or PNG file as an address that holds it; empty for anything else.

    Examples
    --------
    >>> data_url(bytes.fromhex("ffd8ff"))
    'data:image/jpeg;base64,/9j/'
    >>> data_url(b"<svg onload=alert(1)>")
    ''
    """
    for start, kind in _PICTURES.items():
        if picture.startswith(start):
            return f"data:image/{kind};base64,{base64.b64encode(picture).decode('ascii')}"
    return ""


def marker(kind: PageKind) -> str:
    """Return the element by which fieldmark knows a page of its own, within the first 1,000 bytes.

    Examples
    --------
    >>> marker("check")
    '<meta name="generator" content="fieldmark check">'
    """
    return f'<meta name="generator" content="fieldmark {kind}">'


def reasons(left_out: Sequence[dict[str, str]]) -> list[tuple[str, str, int]]:
    """Group what was left out: code, words of the first such file, number; most frequent first.

    Raises
    ------
    UsageError
        With code ``report-facts`` when a file lacks ``path``, ``code`` or ``reason``.

    Examples
    --------
    >>> cut = {"path": "a.jpg", "code": "truncated", "reason": "the file ends too early"}
    >>> reasons([cut, {**cut, "path": "b.jpg"}])
    [('truncated', 'the file ends too early', 2)]
    """
    groups: dict[str, tuple[str, int]] = {}
    for file in left_out:
        if not {"path", "code", "reason"} <= set(file):
            raise bad_facts(f"a file that was left out is described as {file}")
        # What stands in brackets differs from file to file.
        words, n = groups.get(file["code"], (file["reason"].partition(" (")[0], 0))
        groups[file["code"]] = (words, n + 1)
    found = [(code, words, n) for code, (words, n) in groups.items()]
    return sorted(found, key=lambda group: (-group[2], group[0]))


def bad_facts(problem: str) -> UsageError:
    """Return the error for facts with holes."""
    return UsageError(
        f"The page cannot be written: {problem}.",
        code="report-facts",
        why="A table with holes would be read as complete.",
        hint="see the fields of the page's facts, in fieldmark.evaluation",
    )
