r"""CSV files with names in them: written so that no name does harm, read back to the same names.

A file name may hold anything but a slash: line breaks, bytes that are no UTF-8, ``=cmd|...``. Three
things make a cell of it, and :func:`plain` takes them back:

* **Codes.** Control characters, line and paragraph separators, marks that turn the direction of
  writing, and bytes that are no text become ``\n``, ``\r``, ``\t``, ``\xNN`` or ``\uNNNN``
  (``\x80`` and above: a byte, not a character). Backslashes are doubled only in cells where
  something was coded, or that would read as if: ``a\b.jpg`` stays as it is.
* **A guard.** Text that a spreadsheet would take for a formula gets an apostrophe in front: what
  begins with ``=``, ``+``, ``-`` or ``@`` (also full-width). Numbers are no formulas.
* **Quotes** around what holds a separator of any country: ``,``, ``;`` or a quote.

References
----------
OWASP, "CSV Injection", https://owasp.org/www-community/attacks/CSV_Injection. RFC 4180.
"""

from __future__ import annotations

import contextlib
import csv
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

from fieldmark.errors import DataError

_SHORT: Final = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
_LONG: Final = {code[1]: letter for letter, code in _SHORT.items()} | {"\\": "\\"}
_CODED: Final = re.compile(r"\\(?:[nrt\\]|x[0-9a-f]{2}|u[0-9a-f]{4})")
# Controls, what separates lines, what turns the direction of writing, halves of characters.
_HARMFUL: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_FORMULA: Final = re.compile(r"'*\s*[=+\-@\uff1d\uff0b\uff0d\uff20].")
_NUMBER: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?|[+-]?(inf|nan)")
_QUOTED: Final = re.compile(r'[,;"]')


def cell(value: str | float | None) -> str:
    r"""Return what stands in the cell for a text or a number, before quotes.

    Examples
    --------
    >>> [cell(each) for each in ("rose 1.jpg", "=1+1", "a\nb", -0.5, None)]
    ['rose 1.jpg', "'=1+1", 'a\\nb', '-0.5', '']
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        return str(value)
    text = value
    if _HARMFUL.search(text) or _CODED.search(text):
        text = _HARMFUL.sub(_code, text.replace("\\", "\\\\"))
    return f"'{text}" if _is_formula(text) else text


def plain(text: str) -> str:
    r"""Return the text that a cell stands for: the way back from :func:`cell`.

    Examples
    --------
    >>> plain("'=1+1"), plain(r"a\nb"), plain(r"a\b.jpg")
    ('=1+1', 'a\nb', 'a\\b.jpg')
    """
    if text.startswith("'") and _is_formula(text[1:]):
        text = text[1:]
    return _CODED.sub(_decode, text)


def _is_formula(text: str) -> bool:
    return bool(_FORMULA.match(text)) and not _NUMBER.fullmatch(text)


def _code(found: re.Match[str]) -> str:
    letter = found[0]
    if letter in _SHORT:
        return _SHORT[letter]
    number = ord(letter)
    if number < 0x80:
        return f"\\x{number:02x}"
    # Python keeps a byte that is no UTF-8 as U+DC00 plus the byte (PEP 383).
    return f"\\x{number & 0xFF:02x}" if 0xDC80 <= number <= 0xDCFF else f"\\u{number:04x}"


def _decode(found: re.Match[str]) -> str:
    kind, digits = found[0][1], found[0][2:]
    if not digits:
        return _LONG[kind]
    number = int(digits, 16)
    return chr(0xDC00 + number if kind == "x" and number >= 0x80 else number)


def written(header: Sequence[str], rows: Iterable[Sequence[str | float | None]]) -> str:
    r"""Return a CSV file as text: commas, lines that end in CR LF, every cell harmless.

    Examples
    --------
    >>> written(["path", "label"], [["x/a,b.jpg", "+x"]])
    'path,label\r\n"x/a,b.jpg",\'+x\r\n'
    """
    return "".join(line(row) + "\r\n" for row in (header, *rows))


def line(row: Sequence[str | float | None]) -> str:
    """Return one line of such a file, without its end."""
    cells = (cell(value) for value in row)
    return ",".join(
        f'"{t.replace(chr(34), chr(34) * 2)}"' if _QUOTED.search(t) else t for t in cells
    )


def rows(path: Path) -> list[dict[str, str]]:
    """Read a file that :func:`written` wrote: one dict per line, header to text, in plain words.

    Cells beyond the header are left out: somebody else has written in it since.

    Raises
    ------
    DataError
        Code ``list-damaged``.
    """
    try:
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            reader = csv.DictReader(file, restkey="", restval="")
            return [
                {plain(name): plain(text) for name, text in row.items() if isinstance(text, str)}
                for row in reader
            ]
    except csv.Error as error:
        raise DataError(
            "The file is not a CSV file.",
            code="list-damaged",
            where=str(path),
            why=str(error),
            hint="write it anew from its run",
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What a list that a person wrote must look like."""

    what: str
    """As errors call it: ``list of labels``."""
    option: str
    """Where it was named: ``--labels``."""
    columns: Mapping[str, tuple[str, ...]]
    """Column -> the names it goes by, in lower case."""
    needed: tuple[str, ...]
    """Columns that must be there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a list: its number in the file, and every column's cell as it stands there."""

    number: int
    cells: Mapping[str, str]

    def word(self, column: str) -> str:
        """Return a cell without the spaces around it; empty where the column is missing."""
        return self.cells[column].strip()


def lines(path: Path, form: Form) -> Iterator[Line]:
    """Read a list with a header line: commas, semicolons or tabs, UTF-8, columns in any order.

    Raises
    ------
    DataError
        Codes ``no-list``, ``list-damaged``, ``no-columns``.
    """
    with _read(path, form) as (header, delimiter, file):
        columns = _columns(header, path, form)
        reader = csv.reader(file, delimiter=delimiter)
        number = 2
        for cells in reader:
            at, number = number, reader.line_num + 2
            if any(each.strip() for each in cells):
                found = {
                    name: cells[place] if place is not None and place < len(cells) else ""
                    for name, place in columns.items()
                }
                yield Line(number=at, cells=found)


def header(path: Path, form: Form) -> tuple[str, ...]:
    """Return the names in the first line of a list, as they stand there.

    Raises
    ------
    DataError
        Codes ``no-list``, ``list-damaged``.
    """
    with _read(path, form) as (names, _, _):
        return tuple(name.strip() for name in names)


@contextlib.contextmanager
def _read(path: Path, form: Form) -> Iterator[tuple[list[str], str, TextIO]]:
    """Open a list: its first line's cells, what separates cells, and the rest of the file."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            delimiter = max(",;\t", key=first.count)
            yield next(csv.reader([first], delimiter=delimiter), []), delimiter, file
    except OSError as error:
        raise DataError(
            f"The {form.what} cannot be read.",
            code="no-list",
            where=str(path),
            why=error.strerror or "",
            hint=f"check the path given with {form.option}",
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"The {form.what} is not a CSV file in UTF-8.",
            code="list-damaged",
            where=str(path),
            why=str(error),
            hint="save it again as CSV, UTF-8",
        ) from error


def _columns(header: list[str], path: Path, form: Form) -> dict[str, int | None]:
    found = [name.strip().lower() for name in header]
    columns = {
        column: next((found.index(name) for name in names if name in found), None)
        for column, names in form.columns.items()
    }
    missing = [form.columns[name][0] for name in form.needed if columns[name] is None]
    if missing:
        raise DataError(
            f"The {form.what} has no column for the {' and the '.join(missing)}.",
            code="no-columns",
            where=str(path),
            why=f"Its first line names: {', '.join(found)[:200] or 'nothing'}.",
            hint=f"let the first line read: {','.join(form.columns[n][0] for n in form.needed)}",
        )
    return columns


class Names:
    """Finds the path that a cell means among those that there are.

    As :func:`cell` writes it, as it is on the disk, with Windows' backslashes, with ``./``, or with
    accents stored in another way.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths = frozenset(paths)
        self._by_cell = {cell(path): path for path in self._paths}
        self._by_look: dict[str, str | None] = {}
        for path in self._paths:
            look = unicodedata.normalize("NFC", path)
            self._by_look[look] = None if look in self._by_look else path

    def find(self, text: str) -> str | None:
        """Return the path, or None where none is meant."""
        # What was written here wins over a file that happens to be called like its codes.
        for spelling in dict.fromkeys((text, text.strip())):
            if spelling in self._by_cell:
                return self._by_cell[spelling]
            for each in (spelling, plain(spelling)):
                for path in (each, each.replace("\\", "/").removeprefix("./")):
                    known = path if path in self._paths else None
                    known = known or self._by_look.get(unicodedata.normalize("NFC", path))
                    if known is not None:
                        return known
        return None
