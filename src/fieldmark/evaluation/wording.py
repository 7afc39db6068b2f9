r"""How numbers and names are written for people: the same on a screen, in a picture, on the page.

Pure. Rates are fractions everywhere else and become percentages only here. Names come from folders
and files that anyone may have written, so :func:`printable` makes them safe to show in one line: a
line break, a terminal command or a direction override appears as what it is, for example ``\n``.
"""

from __future__ import annotations

import unicodedata

_ELLIPSIS = ".."
_JOINERS = "‌‍"
"""Invisible, but Persian words and many emoji are spelled with them."""
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Unicode categories that break lines, steer terminals, hide text or cannot be written as UTF-8."""


def printable(text: str) -> str:
    r"""Return the text in one line, with everything invisible spelled out.

    Examples
    --------
    >>> print(printable("a\nb\x1b[31m"))
    a\nb\x1b[31m
    """
    return "".join(
        _spelled(char) if char not in _JOINERS and unicodedata.category(char) in _HIDDEN else char
        for char in text
    )


def _spelled(char: str) -> str:
    if "\udc80" <= char <= "\udcff":  # how Python carries a byte of a name that is not UTF-8
        return f"\\x{ord(char) & 0xFF:02x}"
    return char.encode("unicode_escape").decode("ascii")


def columns(text: str) -> int:
    """Count the terminal columns a text takes: Chinese signs take two, combining accents none.

    Examples
    --------
    >>> columns("rose"), columns("薔薇")
    (4, 4)
    """
    return sum(_columns(char) for char in text)


def _columns(char: str) -> int:
    if char in _JOINERS or unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def clip(text: str, width: int) -> str:
    """Shorten a text to ``width`` terminal columns, ending in two dots when something is cut.

    Examples
    --------
    >>> clip("sunflower", 6), clip("rose", 6)
    ('sunf..', 'rose')
    """
    if columns(text) <= width:
        return text
    tail = _ELLIPSIS if width > len(_ELLIPSIS) else ""
    kept, room = "", width - len(tail)
    for char in text:
        room -= _columns(char)
        if room < 0:
            break
        kept += char
    return kept + tail


def pad(text: str, width: int) -> str:
    """Clip a name or fill it with blanks, so that it takes exactly ``width`` terminal columns."""
    short = clip(printable(text), width)
    return short + " " * (width - columns(short))


def percent(fraction: float) -> str:
    """Write a fraction as a percentage with one decimal.

    Examples
    --------
    >>> percent(0.7461)
    '74.6 %'
    """
    return f"{100 * fraction:.1f} %"


def counted(n: int, noun: str = "picture") -> str:
    """Write a number with its noun.

    Examples
    --------
    >>> counted(1), counted(4317)
    ('1 picture', '4,317 pictures')
    """
    plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{n:,} {noun if n == 1 else plural}"
