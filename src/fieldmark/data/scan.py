"""From a folder or a list to a manifest: what is there, its label, what is left out and why.

Touches the disk. :func:`scan` lists and reads no picture; :func:`hash_contents` reads every one.
Four layouts are understood:

* ``folders``: one folder per class, at any depth below it;
* ``parts``: ready-made training, validation and test folders, with class folders inside;
* ``csv``: a list, see :mod:`fieldmark.data.listing`;
* ``name``: the label is part of the file name, found by a pattern.

The promise: examples plus left out is everything that was met. Nothing is skipped silently.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Final

from fieldmark.data import files, listing, troubles
from fieldmark.data.manifest import SPLIT_WORDS, Example, LeftOut, Manifest, Split
from fieldmark.errors import DataError, UnreadableExample, UsageError
from fieldmark.modalities import MODALITIES
from fieldmark.pool import map_ordered

SUFFIXES: Final = MODALITIES["image"].suffixes


def scan(
    root: Path,
    *,
    labels: Path | None = None,
    label_from: str = "folder",
    to_learn: bool = True,
) -> Manifest:
    """List a folder's examples with their labels, and everything else with the reason.

    Parameters
    ----------
    root : Path
        The folder; or a CSV list, which stands for the folder that it lies in.
    labels : Path, optional
        A CSV list about ``root``. Pictures that are not in it are left out.
    label_from : str, default="folder"
        Where the label stands: ``folder``, or ``name:`` and a regular expression whose first group
        is the label, searched in the file's name.
    to_learn : bool, default=True
        Refuse what no network can learn from: a single class, an empty one, one that only the test
        part holds. False: the examples are only measured on, and a lone test part is enough.

    Returns
    -------
    Manifest
        Examples sorted by path, without hashes. ``split`` is set where the folder or list gave it.

    Raises
    ------
    DataError
        Codes ``no-folder``, ``no-classes``, ``one-class``, ``empty-class``, ``class-only-in-test``,
        ``class-names-collide``, ``class-name-not-text``, ``parts-collide``, and those of
        :func:`fieldmark.data.listing.read`.
    UsageError
        Code ``label-from``.
    """
    manifest, refusals = survey(root, labels=labels, label_from=label_from, to_learn=to_learn)
    if refusals:
        raise refusals[0]
    return manifest


def survey(
    root: Path,
    *,
    labels: Path | None = None,
    label_from: str = "folder",
    to_learn: bool = True,
) -> tuple[Manifest, tuple[DataError, ...]]:
    """List a folder as :func:`scan` does, and return what :func:`scan` would refuse it for.

    Returns
    -------
    Manifest
    tuple of DataError
        Of the codes of :func:`scan` all that are about classes, in the order in which they would be
        met; empty for a folder that can be learned from.

    Raises
    ------
    DataError
        ``no-folder``, ``no-classes``, ``parts-collide``, or a list that cannot be read: then there
        is nothing to look at.
    """
    pattern = _pattern(label_from)
    if labels is None and root.is_file() and root.suffix.lower() in (".csv", ".tsv"):
        return named(_from_list(root, root.parent, walk=False), to_learn, ())
    if not root.is_dir():
        raise troubles.no_folder(root)
    if labels is not None:
        return named(_from_list(labels, root, walk=True), to_learn, ())
    manifest, empty = _from_folders(root, pattern, to_learn)
    return named(manifest, to_learn, empty)


def hash_contents(
    manifest: Manifest, *, threads: int, progress: Callable[[int, int], None] | None = None
) -> Manifest:
    """Read every file once and record the SHA-256 of its bytes.

    Parameters
    ----------
    manifest : Manifest
        Of :func:`scan`.
    threads : int
        Files read at the same time, at least 1.
    progress : callable, optional
        Called with files done and files in all, from the calling thread.

    Returns
    -------
    Manifest
        Every example with its hash; files that cannot be read, or are larger than 200 MB, left out
        with the codes of :func:`fieldmark.data.files.opened`.

    Raises
    ------
    DataError
        Code ``folder-vanished``: not one of them is there any more.
    """

    def hashed(example: Example) -> Example | LeftOut:
        try:
            digest = hashlib.sha256(files.read(manifest.root / example.path)).hexdigest()
        except UnreadableExample as error:
            return LeftOut(path=example.path, code=error.code, reason=error.what)
        return dataclasses.replace(example, sha256=digest)

    examples: list[Example] = []
    left_out: list[LeftOut] = []
    results = map_ordered(
        hashed,
        manifest.examples,
        threads=threads,
        ahead=8 * threads,
        named=lambda example: example.path,
    )
    for n_done, result in enumerate(results, start=1):
        if isinstance(result, LeftOut):
            left_out.append(result)
        else:
            examples.append(result)
        if progress is not None:
            progress(n_done, len(manifest.examples))
    files.check_there(manifest.root, len(manifest.examples), (each.code for each in left_out))
    return manifest.with_examples(tuple(examples), tuple(left_out))


def name_pattern(text: str) -> re.Pattern[str] | str:
    """Return the pattern of ``name:PATTERN``, or what is wrong with it."""
    try:
        pattern = re.compile(text.removeprefix("name:"))
    except re.error as error:
        return f"holds no regular expression ({error})"
    return pattern if pattern.groups else "has no group in round brackets to take the {} from"


def _pattern(label_from: str) -> re.Pattern[str] | None:
    if label_from == "folder":
        return None
    problem = "is neither folder nor name:PATTERN"
    if label_from.startswith("name:"):
        found = name_pattern(label_from)
        if isinstance(found, re.Pattern):
            return found
        problem = found.replace("{}", "label")
    raise UsageError(
        f"--label-from {label_from!r} {problem}.",
        code="label-from",
        hint=r"for oak_17.jpg: --label-from 'name:^(\w+?)_'",
    )


def _from_folders(
    root: Path, pattern: re.Pattern[str] | None, to_learn: bool
) -> tuple[Manifest, tuple[DataError, ...]]:
    tree = files.walk(root)
    parts = _parts(tree, root, to_learn)
    examples: list[Example] = []
    left_out = list(tree.left_out)
    for path in tree.files:
        found = _label(path, parts, pattern)
        if isinstance(found, LeftOut):
            left_out.append(found)
        else:
            examples.append(found)
    manifest = Manifest(
        root=root,
        examples=tuple(examples),
        classes=(),
        left_out=tuple(left_out),
        layout="name" if pattern else ("parts" if parts else "folders"),
    )
    return manifest, _empty(manifest, tree, parts) if pattern is None and to_learn else ()


def _from_list(csv_path: Path, root: Path, *, walk: bool) -> Manifest:
    examples, left_out = listing.read(csv_path, root)
    if walk:
        known = {example.path for example in examples} | {entry.path for entry in left_out}
        tree = files.walk(root)
        left_out += tuple(entry for entry in tree.left_out if entry.path not in known)
        left_out += tuple(
            _not_a_picture(path)
            or LeftOut(path=path, code="not-listed", reason="not in the list of labels")
            for path in tree.files
            if path not in known and (root / path).resolve() != csv_path.resolve()
        )
    return Manifest(root=root, examples=examples, classes=(), left_out=left_out, layout="csv")


def _parts(tree: files.Tree, root: Path, to_learn: bool) -> dict[str, Split]:
    """Return the ready-made part of each top folder that is one; empty for any other layout."""
    top = [folder for folder in tree.folders if "/" not in folder]
    parts = {name: SPLIT_WORDS[name.lower()] for name in top if name.lower() in SPLIT_WORDS}
    # A class may be called "train": one such folder among others is a class, beside "test" it is
    # not.
    if not parts or (len(parts) == 1 and len(top) > 1):
        return {}
    if "train" not in parts.values() and (to_learn or "test" not in parts.values()):
        return {}
    if len(set(parts.values())) < len(parts):
        raise troubles.parts_collide(root, sorted(parts))
    return parts


def _label(
    path: str, parts: dict[str, Split], pattern: re.Pattern[str] | None
) -> Example | LeftOut:
    foreign = _not_a_picture(path)
    if foreign is not None:
        return foreign
    steps = path.split("/")
    split = None
    if parts:
        if steps[0] not in parts or len(steps) == 1:
            reason = "in none of the training, validation and test folders"
            return LeftOut(path=path, code="outside-parts", reason=reason)
        split = parts[steps.pop(0)]
    if pattern is None:
        if len(steps) == 1:
            return LeftOut(path=path, code="no-class-folder", reason="in no class folder")
        return Example(path=path, label=steps[0], split=split)
    found = pattern.search(steps[-1])
    if found is None or not found[1]:
        reason = "its name does not fit the pattern"
        return LeftOut(path=path, code="no-label-in-name", reason=reason)
    return Example(path=path, label=found[1], split=split)


def _not_a_picture(path: str) -> LeftOut | None:
    suffix = PurePosixPath(path).suffix.lower()
    if suffix in SUFFIXES:
        return None
    return LeftOut(path=path, code="not-a-picture", reason=f"suffix {suffix or 'missing'}")


def _nfc(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _empty(manifest: Manifest, tree: files.Tree, parts: dict[str, Split]) -> tuple[DataError, ...]:
    """Object to class folders without a single file: a class was meant, and nothing is there."""
    depth = 2 if parts else 1
    folders = {
        folder
        for folder in tree.folders
        if folder.count("/") == depth - 1 and (not parts or folder.split("/")[0] in parts)
    }
    others = [entry.path for entry in tree.left_out if entry.code != "system-file"]
    met = [*tree.files, *others]
    filled = {"/".join(path.split("/")[:depth]) for path in met}
    if manifest.examples and folders - filled:
        return (troubles.empty_class(manifest.root, sorted(folders - filled)),)
    return ()


def checked(manifest: Manifest, to_learn: bool) -> Manifest:
    """Name the classes, once, and refuse labels that no network can learn from.

    Raises
    ------
    DataError
        Codes ``no-classes``, ``class-name-not-text``, ``class-names-collide``; to learn also
        ``one-class`` and ``class-only-in-test``.
    """
    found, refusals = named(manifest, to_learn)
    if refusals:
        raise refusals[0]
    return found


def named(
    manifest: Manifest, to_learn: bool, refusals: tuple[DataError, ...] = ()
) -> tuple[Manifest, tuple[DataError, ...]]:
    """Name the classes, once, and object to folders that no network can learn from.

    Raises
    ------
    DataError
        Code ``no-classes``.
    """
    names = sorted({example.label for example in manifest.examples})
    if not names:
        raise troubles.no_classes(manifest)
    found = list(refusals)
    if any("\udc80" <= letter <= "\udcff" for name in names for letter in name):
        found.append(troubles.not_text(manifest.root, names))
    alike: dict[str, list[str]] = {}
    for name in names:  # two folders on this computer, one on a Mac or under Windows
        alike.setdefault(_nfc(name).casefold(), []).append(name)
    for spellings in alike.values():
        if len(spellings) > 1:
            found.append(troubles.names_collide(manifest.root, spellings))
    if to_learn and len(names) == 1:
        found.append(troubles.one_class(manifest, names[0]))
    taught = {e.label for e in manifest.examples if e.split in ("train", None)}
    strangers = [name for name in names if name not in taught]
    if to_learn and strangers:
        found.append(troubles.class_only_in_test(manifest, strangers))
    if any(name != _nfc(name) for name in names):
        examples = tuple(dataclasses.replace(e, label=_nfc(e.label)) for e in manifest.examples)
        manifest = manifest.with_examples(examples)
    classes = tuple(sorted({_nfc(name) for name in names}))
    return dataclasses.replace(manifest, classes=classes), tuple(found)
