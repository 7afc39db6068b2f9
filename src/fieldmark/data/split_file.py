"""The split on disk: ``split.csv``, which file is for what, so that it can be used again.

Columns ``path,sha256,label,group,cluster,split,fold``. To read, ``path`` and ``split`` are
enough. A file is recognised by its content first and its path second, so that renaming it changes
nothing.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from fieldmark.atomic import check_room, write_whole
from fieldmark.data.listing import PATH, split_word
from fieldmark.data.manifest import Example, Manifest, Split
from fieldmark.data.table import Form, Names, lines, plain, written
from fieldmark.errors import DataError, UsageError

_COLUMNS: Final = ("path", "sha256", "label", "group", "cluster", "split", "fold")
_FORM: Final = Form(
    what="split file",
    option="--split",
    columns={name: (name,) for name in _COLUMNS} | {"path": PATH, "split": ("split", "part")},
    needed=("path", "split"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What a split file says about one file."""

    path: str
    """As the cell stands in the file."""
    split: Split
    sha256: str = ""
    group: str = ""
    cluster: str = ""
    fold: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitFile:
    """A split that was saved."""

    rows: tuple[Row, ...]
    file: Path = field(default=Path("split.csv"))

    @property
    def n_folds(self) -> int:
        """How many folds it deals; 0: none."""
        return max((row.fold + 1 for row in self.rows if row.fold is not None), default=0)

    def known(self, examples: tuple[Example, ...]) -> dict[int, Row]:
        """Return the row of every example that is in the file, by the example's position."""
        names = Names(example.path for example in examples)
        by_path: dict[str, Row] = {}
        by_content: dict[str, list[tuple[str | None, Row]]] = defaultdict(list)
        for row in self.rows:
            path = names.find(row.path)
            if path is not None and by_path.setdefault(path, row).split != row.split:
                raise _conflict(self.file, path, by_path[path], row)
            if row.sha256:
                by_content[row.sha256].append((path, row))
        found = {}
        for at, example in enumerate(examples):
            meant = _of(example, by_content.get(example.sha256, []), by_path)
            if meant is not None:
                found[at] = meant
        return found


def _conflict(file: Path | None, path: str, first: Row, second: Row) -> DataError:
    return DataError(
        f"The split file puts one file into two parts: {first.split} and {second.split}.",
        code="split-conflict",
        where=f"{file}: {path}, once as {first.path} and once as {second.path}",
        why="What was learned is no test.",
        hint="remove one of the two lines",
    )


def _of(
    example: Example, alike: list[tuple[str | None, Row]], by_path: dict[str, Row]
) -> Row | None:
    for path, row in alike:
        if path == example.path:
            return row
    if alike and len({row.split for _, row in alike}) == 1:
        return alike[0][1]
    # Copies on several sides say nothing about one more of them.
    return None if alike else by_path.get(example.path)


def text(manifest: Manifest) -> str:
    """Return a manifest's parts and folds as a split file.

    Examples
    --------
    >>> one = Example(path="cat/1.jpg", label="cat", sha256="0f", split="test")
    >>> print(text(Manifest(root=Path("x"), examples=(one,), classes=("cat",))).splitlines()[1])
    cat/1.jpg,0f,cat,,,test,
    """
    return written(_COLUMNS, [[getattr(e, name) for name in _COLUMNS] for e in manifest.examples])


def check_new(
    file: Path,
    *,
    force: bool = False,
    why: str = "Nothing is overwritten unasked; another split makes old figures incomparable.",
    option: str = "-o",
) -> None:
    """Refuse, before any work is done, a file that could not be written after it.

    Raises
    ------
    UsageError
        ``file-exists``, ``no-folder``.
    StorageError
        ``not-writable``.
    """
    if file.exists() and not force:
        raise UsageError(
            f"{file.name} exists already.",
            code="file-exists",
            where=str(file),
            why=why,
            hint=f"--force, or {option} with another name",
        )
    if not file.absolute().parent.is_dir():
        raise UsageError(
            f"There is no folder {file.parent}.",
            code="no-folder",
            where=str(file),
            hint=f"make the folder, or choose another place with {option}",
        )
    check_room(file.parent)


def write(file: Path, manifest: Manifest, *, force: bool = False) -> None:
    """Write a manifest's parts and folds, whole or not at all.

    Parameters
    ----------
    file : Path
    manifest : Manifest
        Every example with its part.
    force : bool, default=False
        Replace a file that is there.

    Raises
    ------
    UsageError
        ``file-exists``, ``no-folder``.
    """
    check_new(file, force=force)
    write_whole(file, text(manifest))


def read(file: Path) -> SplitFile:
    """Read a split file. Lines without a part say nothing.

    Raises
    ------
    DataError
        ``no-list``, ``list-damaged``, ``no-columns``, ``bad-split-word``, ``bad-fold``,
        ``split-conflict``: two lines put one file into two parts.
    """
    rows: list[Row] = []
    first: dict[str, tuple[Split, int]] = {}
    for line in lines(file, _FORM):
        where = f"{file}, line {line.number}"
        part = split_word(line.word("split"), where)
        if part is None:
            continue
        path = line.cells["path"]
        earlier, number = first.setdefault(path, (part, line.number))
        if earlier != part:
            raise DataError(
                f"The split file puts one file into two parts: {earlier} and {part}.",
                code="split-conflict",
                where=f"{file}, lines {number} and {line.number}: {path}",
                why="What was learned is no test.",
                hint="remove one of the two lines",
            )
        rows.append(
            Row(
                path=path,
                split=part,
                sha256=line.word("sha256").lower(),
                group=plain(line.word("group")),
                cluster=plain(line.word("cluster")),
                fold=_fold(line.word("fold"), where),
            )
        )
    return SplitFile(rows=tuple(rows), file=file)


def _fold(word: str, where: str) -> int | None:
    if not word:
        return None
    if not (word.isascii() and word.isdecimal() and int(word) < 1000):
        raise DataError(
            f"The split file names a fold that is no number: {word!r}.",
            code="bad-fold",
            where=where,
            hint="write 0, 1, 2 and so on, or leave the column out",
        )
    return int(word)
