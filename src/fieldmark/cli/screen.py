"""What the verbs print with: results to stdout, the rest to stderr; plain when nobody looks.

Colours only on a terminal, and never where ``NO_COLOR`` is set or ``TERM`` is ``dumb``. Names from
files may hold anything: control characters are shown, not obeyed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Final

from fieldmark.ending import drop
from fieldmark.errors import FieldmarkError

_INSIDE_NUMBERS: Final = re.compile(r"(?<=\d) (?=%)|(?<=\d) (?=to [-+]?\d)|(?<=\d to) (?=[-+]?\d)")
_UNSEEN: Final = re.compile(r"[^\x20-\x7e]")
_GLUE: Final = "\N{NO-BREAK SPACE}"


class Screen:
    """The two streams and what may be printed on them; final."""

    _current: ClassVar[Screen | None] = None

    def __init__(self) -> None:
        self.debug = False
        self.quiet = False
        self.as_json = False
        self.stream = False
        """Whether the verb's work is what it prints: then it ends when nobody can read it."""
        self.unheard: OSError | None = None
        """Why what was printed did not arrive."""
        self._no_color = "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"

    @classmethod
    def reset(cls) -> Screen:
        """Start anew; one process may run several command lines in tests."""
        cls._current = cls()
        return cls._current

    @classmethod
    def current(cls) -> Screen:
        """Return the screen of the running command."""
        return cls._current or cls.reset()

    def settle(
        self,
        *,
        no_color: bool = False,
        debug: bool = False,
        quiet: bool = False,
        as_json: bool = False,
    ) -> Screen:
        """Take the options of a command line."""
        self._no_color = self._no_color or no_color
        self.debug = self.debug or debug
        self.quiet = self.quiet or quiet
        self.as_json = self.as_json or as_json
        return self

    @property
    def colored(self) -> bool:
        """Whether escape codes may be written to stderr."""
        return sys.stderr.isatty() and not self._no_color

    @property
    def live(self) -> bool:
        """Whether bars may move on stderr; they are drawn with escape codes too."""
        return sys.stderr.isatty() and not self.quiet and not self._no_color

    @property
    def width(self) -> int:
        """Columns, at least 60."""
        return max(60, shutil.get_terminal_size((80, 24)).columns)

    @property
    def room(self) -> int:
        """Columns of a line of results; no limit in a pipe or file, unless ``COLUMNS`` sets one."""
        looked_at = sys.stdout.isatty() or "COLUMNS" in os.environ
        return self.width if looked_at else sys.maxsize

    def result(self, text: str) -> None:
        """Print a result to stdout.

        Raises
        ------
        OSError
            The reader has gone or the disk is full, and :attr:`stream` is set. Else the work goes
            on, and :attr:`unheard` says why nobody heard of it.
        """
        try:
            sys.stdout.write(_encodable(text, sys.stdout.encoding) + "\n")
            sys.stdout.flush()
        except OSError as error:
            error.filename = "stdout"
            if self.stream:
                raise
            self.unheard = error
            drop(sys.stdout)

    def results(self, lines: Iterable[str]) -> None:
        """Print lines to stdout."""
        for line in lines:
            self.result(line)

    def wrapped(self, lines: Iterable[str], *, hang: int = 2) -> None:
        """Print lines to stdout, broken between words where they are wider than the screen.

        Parameters
        ----------
        lines : iterable of str
        hang : int, default=2
            Columns by which what is carried over stands further in than its line.
        """
        for line in lines:
            self.results(broken(line, self.width, hang=hang))

    def json(self, value: Any) -> None:
        """Print one JSON value on one line of stdout."""
        self.result(json_line(value))

    def say(self, text: str) -> None:
        """Print a message to stderr, unless quiet."""
        if not self.quiet:
            self.error([text])

    def error(self, lines: Sequence[str]) -> None:
        """Print lines to stderr, quiet or not."""
        for line in lines:
            sys.stderr.write(_encodable(line, sys.stderr.encoding) + "\n")
        sys.stderr.flush()

    def next(self, *commands: str) -> None:
        """Say what to type next, where a person is looking."""
        if self.quiet or self.as_json or not sys.stdout.isatty():
            return
        for at, command in enumerate(commands):
            self.say(("\nNext:  " if at == 0 else "       ") + command)


def screen() -> Screen:
    """Return the screen of the running command."""
    return Screen.current()


def json_line(value: Any) -> str:
    r"""Return a value as JSON on one line; what a terminal obeys comes as escapes.

    Examples
    --------
    >>> print(json_line({"file": "a\u2028.jpg"}))
    {"file": "a\u2028.jpg"}
    """
    return _UNSEEN.sub(_escaped, json.dumps(value, ensure_ascii=False))


def error_lines(error: FieldmarkError) -> list[str]:
    """Return an error's four parts as lines."""
    return [shown(line) for line in f"fieldmark: {error}".split("\n")]


def broken(line: str, width: int, *, hang: int = 2) -> list[str]:
    """Break a line between words, never inside ``74.6 %`` or ``71.1 to 77.8``.

    Examples
    --------
    >>> broken("  accuracy 74.6 % (71.1 to 77.8, 646 pictures)", 32)
    ['  accuracy 74.6 % (71.1 to 77.8,', '    646 pictures)']
    """
    words = line.lstrip(" ")
    indent = " " * (len(line) - len(words))
    found = textwrap.wrap(
        _INSIDE_NUMBERS.sub(_GLUE, words),
        width,
        initial_indent=indent,
        subsequent_indent=indent + " " * hang,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [each.replace(_GLUE, " ") for each in found] or [""]


def shown(text: str) -> str:
    r"""Make a name from a file safe to print on one line.

    Examples
    --------
    >>> shown("a\nb\x1b[31m")
    'a\\nb\\x1b[31m'
    """
    return "".join(
        char
        if char.isprintable()
        else char.encode("unicode_escape").decode("ascii")
        if not 0xD800 <= ord(char) <= 0xDFFF
        else f"\\x{ord(char) & 0xFF:02x}"
        for char in text
    )


def _escaped(found: re.Match[str]) -> str:
    """Return a character as JSON writes it where it may not stand itself."""
    char = found.group()
    return char if char.isprintable() else json.dumps(char)[1:-1]


def _encodable(text: str, encoding: str | None) -> str:
    wanted = encoding or "utf-8"
    return text.encode(wanted, "backslashreplace").decode(wanted)
