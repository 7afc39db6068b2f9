"""A folder of labelled examples in Python's hands: lazy, immutable."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fieldmark.config import DataSettings, Settings, SplitSettings
from fieldmark.data import grouping, placing, scan, split, split_file
from fieldmark.data import groups as grouped
from fieldmark.data import overrides as fix_list
from fieldmark.data.folds import folds as dealt
from fieldmark.data.looks import Looks
from fieldmark.data.manifest import SPLITS, Example, Manifest, Note, Split
from fieldmark.errors import DataError, UsageError
from fieldmark.evaluation.wording import counted
from fieldmark.modalities.shapes import shapes
from fieldmark.training.events import Listener, Progress, silent
from fieldmark.workflow.auditing import audited
from fieldmark.workflow.machine import cores
from fieldmark.workflow.parts import check_parts

if TYPE_CHECKING:
    from fieldmark.workflow.checking import Check
    from fieldmark.workflow.showing import Sheet


@dataclass(frozen=True, slots=True)
class Dataset:
    """What was found in a folder. Methods return new objects; the folder is never changed."""

    manifest: Manifest
    source: DataSettings = field(default_factory=DataSettings)
    """How it was loaded; a run keeps this, so that it can be repeated."""
    shares: SplitSettings | None = None
    """How its parts were drawn; None: not yet."""
    notes: tuple[Note, ...] = ()
    """What to know about the lists that were obeyed."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the one order that everything uses."""
        return self.manifest.classes

    def counts(self, part: Split | None = None) -> dict[str, int]:
        """Count examples per class, of one part or of all."""
        return self.manifest.counts(part)

    def check(self, *, listen: Listener = silent) -> Check:
        """Find broken, copied, mislabelled, odd and leaking files; printed, it is a table."""
        from fieldmark.workflow.checking import checked

        return checked(self.manifest, self._settings(), listen=listen)

    def clean(self) -> Dataset:
        """Leave out what would spoil the figures, and mark near copies, which stay together.

        Label conflicts, all but one of exact copies, training pictures that are also in a
        ready-made test part, and what cannot be read; the fix list is obeyed.
        :func:`fieldmark.train` does the same by itself.
        """
        found = cleaned(self.manifest, self._settings())
        return replace(self, manifest=found.manifest, notes=found.notes)

    def show_batch(self, *, per_class: int = 12) -> Sheet:
        """Show samples of every class, what the network receives and what augmentation does."""
        from fieldmark.workflow.showing import show

        fixed = corrected(self.manifest, self.source).manifest
        return show(fixed, self._settings(), per_class=per_class)

    def split(
        self, *, val: float = 0.15, test: float = 0.15, seed: int = 0, folds: int = 0
    ) -> Dataset:
        """Give every example its part, once: by class, whole groups, repeatably.

        Parts that the folder or list already gives stay as they are. A dataset that was not
        cleaned is cleaned first.

        Parameters
        ----------
        val, test : float
            Shares of the whole, in (0, 1).
        seed : int, default=0
        folds : int, default=0
            Deal all examples into so many folds as well, 2 to 20; 0: none.

        Raises
        ------
        UsageError
            Code ``split-twice``.
        """
        if self.shares is not None:
            raise UsageError(
                "The parts were drawn already.",
                code="split-twice",
                where=repr(self),
                why="A second draw would be recorded and the first one kept.",
                hint="start again from fieldmark.load(...)",
            )
        shares = {"valid": val, "test": test, "seed": seed, "folds": folds}
        settings = self._settings().changed("split", shares)
        found = prepared(self.manifest, settings)
        return replace(self, manifest=found.manifest, shares=settings.split, notes=found.notes)

    def _settings(self) -> Settings:
        return Settings().changed("data", asdict(self.source))

    def __len__(self) -> int:
        return len(self.manifest.examples)

    def __iter__(self) -> Iterator[Example]:
        return iter(self.manifest.examples)

    def __getitem__(self, position: int) -> Example:
        return self.manifest.examples[position]

    def __repr__(self) -> str:
        name, n = self.manifest.name, len(self)
        return f"<Dataset {name}: {n:,} examples, {len(self.classes)} classes>"


def load(
    folder: str | Path,
    *,
    labels: str | Path | None = None,
    label_from: str = "folder",
    groups: str | Path = "",
    overrides: str | Path = "auto",
) -> Dataset:
    """List the labelled examples of a folder. Reads names, not pictures.

    Parameters
    ----------
    folder : str or Path
        Class folders; or ``train``/``val``/``test`` folders of class folders; or a CSV file with
        the columns ``path,label[,group,split]``.
    labels : str or Path, optional
        Such a CSV file for the pictures in ``folder``.
    label_from : str, default="folder"
        ``folder``, or ``name:REGEX``: the first group, found in the file name, is the label.
    groups : str or Path, default=""
        Which files are never split apart: ``folder``, ``name:REGEX``, ``column:NAME`` of the list
        of labels, or a CSV file with the columns ``path,group``.
    overrides : str or Path, default="auto"
        The fix list: a CSV file with the columns ``path,action[,value,reason,sha256]``; ``auto``:
        ``overrides.csv`` in the folder, where there is one; ``none``. It is obeyed once the files
        are read, by :meth:`Dataset.split` and :func:`fieldmark.train`.

    Raises
    ------
    DataError
        ``no-folder``, ``no-classes``, ``one-class`` and others of ``docs/errors.md``.
    """
    listed, refusals = scan.survey(
        Path(folder), labels=Path(labels) if labels else None, label_from=label_from
    )
    fixes = fix_list.find(str(overrides), listed.root)
    if refusals and fixes is None:  # with a fix list its classes count: it may relabel or leave out
        raise refusals[0]
    source = DataSettings(
        folder=str(Path(folder).absolute()),
        labels=str(Path(labels).absolute()) if labels else "",
        label_from=label_from,
        groups=_absolute(str(groups)),
        overrides=str(fixes.absolute()) if fixes else "none",
    )
    return Dataset(listed, source)


def _absolute(groups: str) -> str:
    """Return the setting with a file's whole path: a run may be repeated from elsewhere."""
    return str(Path(groups).absolute()) if groups and Path(groups).is_file() else groups


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A manifest on its way to parts."""

    manifest: Manifest
    notes: tuple[Note, ...]
    """What to know about the lists that were obeyed; nothing stops for it."""
    kept: frozenset[str] = frozenset()
    """Paths that a person said to keep, whatever is found."""
    refusals: tuple[DataError, ...] = ()
    """What ``train`` would refuse the classes of the fix list for."""
    looks: Looks | None = None
    """What the audit saw of every picture; None: it was made before."""


def listed(
    manifest: Manifest,
    settings: Settings,
    *,
    threads: int | None = None,
    refuse: bool = True,
    listen: Listener = silent,
) -> Prepared:
    """Read the files of a listed folder and obey its lists: hashes, groups, fix list.

    Parameters
    ----------
    manifest : Manifest
        Of :func:`load`.
    settings : Settings
        Their table ``data``.
    threads : int, optional
        Of reading; default: every core.
    refuse : bool, default=True
        Refuse a fix list that leaves nothing to learn from; False: return why.
    listen : callable, optional

    Raises
    ------
    DataError, UsageError
        Of :mod:`fieldmark.data.groups` and ``overrides``.
    """
    data = settings.data
    if manifest.audited:  # the lists were obeyed before that
        return Prepared(manifest=manifest, notes=())
    found = hashed(manifest, threads=threads, listen=listen)
    with_groups = grouped.given(found, data.groups, labels=list_of(data))
    fixed = _fixed(with_groups.manifest, data, to_learn=True, refuse=refuse)
    return Prepared(
        manifest=fixed.manifest,
        notes=(*with_groups.notes, *fixed.notes),
        kept=fixed.kept,
        refusals=fixed.refusals,
    )


def cleaned(
    manifest: Manifest,
    settings: Settings,
    *,
    saved: split_file.SplitFile | None = None,
    threads: int | None = None,
    listen: Listener = silent,
) -> Prepared:
    """Do what :func:`listed` does, then audit; a manifest that was audited stays as it is.

    ``saved`` tells the parts of its files before that, so that copies across them are leaks.

    Raises
    ------
    DataError, UsageError
        As :func:`listed` and :func:`fieldmark.workflow.auditing.audited`.
    """
    found = listed(manifest, settings, threads=threads, listen=listen)
    if found.manifest.audited:
        return found
    with_parts = found.manifest if saved is None else placing.known(found.manifest, saved)
    result = audited(
        with_parts,
        settings,
        threads=threads or cores(),
        kept=found.kept,
        listen=listen,
    )
    sizes = result.seen.looks.of([one.sha256 for one in result.audit.manifest.examples])
    clean = replace(result.audit.manifest, audited=True, shapes=shapes(sizes))
    # A ready-made part of which nothing is left must not be drawn anew from the others.
    check_parts(clean, [part for part in SPLITS if with_parts.part(part)])
    notes = (*found.notes, *result.notes)
    return replace(found, manifest=clean, notes=notes, looks=result.seen.looks)


def prepared(
    manifest: Manifest,
    settings: Settings,
    *,
    threads: int | None = None,
    listen: Listener = silent,
) -> Prepared:
    """Go the one way from a listed folder to parts: hashes, groups, fix list, audit, parts.

    Parameters
    ----------
    manifest : Manifest
        Of :func:`load`; or of an earlier call: then nothing changes.
    settings : Settings
        Their tables ``data``, ``audit`` and ``split``, and the seed.
    threads : int, optional
        Of reading; default: every core.
    listen : callable, optional

    Raises
    ------
    DataError, UsageError
        As :func:`cleaned`, and of :mod:`fieldmark.data.split`, ``split_file`` and ``placing``.
    """
    parts = settings.split
    saved = split_file.read(Path(parts.file)) if parts.file else None
    found = cleaned(manifest, settings, saved=saved, threads=threads, listen=listen)
    result, notes = found.manifest, found.notes
    if saved is not None:
        fractions = (1.0 - parts.valid - parts.test, parts.valid, parts.test)
        placed = placing.placed(result, saved, fractions=fractions, seed=split_seed(settings))
        result, notes = placed.manifest, (*notes, *placed.notes)
    result = assigned(result, settings)
    if parts.folds and (saved is None or saved.n_folds != parts.folds):
        result = dealt(result, parts.folds, seed=split_seed(settings))
    return replace(found, manifest=result, notes=(*notes, *_divided(result)))


def _divided(manifest: Manifest) -> tuple[Note, ...]:
    """Say what lies on two sides all the same: in ready-made parts, a saved split, by a keep."""
    examples = manifest.examples
    units = grouping.units(examples)
    n = sum(len({examples[at].split for at in unit.members}) > 1 for unit in units)
    if not n:
        return ()
    text = (
        f"{counted(n, 'group')} or sets of copies lie in two parts, as the folder, the split file "
        "or a keep in the fix list says: figures come out too good."
    )
    return (Note(code="parts-divided", text=text),)


def corrected(manifest: Manifest, data: DataSettings) -> Prepared:
    """Obey the fix list on a folder that is only measured on: classes may be few, parts none."""
    if manifest.audited or fix_list.find(data.overrides, manifest.root) is None:
        return Prepared(manifest=manifest, notes=())
    found = _fixed(hashed(manifest), data, to_learn=False, refuse=True)
    return Prepared(manifest=found.manifest, notes=found.notes)


def _fixed(
    manifest: Manifest, data: DataSettings, *, to_learn: bool, refuse: bool
) -> fix_list.Applied:
    listed = fix_list.find(data.overrides, manifest.root)
    if listed is None:
        return fix_list.Applied(manifest=manifest, kept=frozenset(), notes=())
    # The list itself, where it lies among the pictures, is none that was left out.
    root, own = manifest.root.absolute(), listed.absolute()
    left_out = tuple(each for each in manifest.left_out if root / each.path != own)
    others = replace(manifest, left_out=left_out)
    return fix_list.apply(others, fix_list.read(listed), to_learn=to_learn, refuse=refuse)


def list_of(data: DataSettings) -> Path | None:
    """Return the list of labels: given, or the data folder itself."""
    listed = data.labels or (data.folder if Path(data.folder).is_file() else "")
    return Path(listed) if listed else None


def hashed(
    manifest: Manifest, *, threads: int | None = None, listen: Listener = silent
) -> Manifest:
    """Fill in the content hashes that are not known yet."""
    if all(example.sha256 for example in manifest.examples):
        return manifest

    def said(done: int, total: int) -> None:
        listen(Progress(stage="hash", done=done, total=total))

    return scan.hash_contents(manifest, threads=threads or cores(), progress=said)


def assigned(manifest: Manifest, settings: Settings) -> Manifest:
    """Give every example its part as the settings say."""
    valid, test = settings.split.valid, settings.split.test
    fractions = (1.0 - valid - test, valid, test)
    return split.assign(manifest, fractions=fractions, seed=split_seed(settings))


def split_seed(settings: Settings) -> int:
    """Return the seed that the parts are drawn with."""
    return settings.train.seed if settings.split.seed == "auto" else settings.split.seed
