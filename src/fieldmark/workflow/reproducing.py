"""Train a model once more from what its file says, and compare the two, part by part."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from fieldmark import bundle as bundles
from fieldmark import runs
from fieldmark.bundle import Bundle
from fieldmark.config import Settings
from fieldmark.config import read as read_settings
from fieldmark.errors import UsageError
from fieldmark.networks.layers import Backbone
from fieldmark.networks.parser import parse
from fieldmark.runs import RunFolder
from fieldmark.training.events import Listener, silent
from fieldmark.workflow import provenance, same_data
from fieldmark.workflow.continuing import Again, data_of, now
from fieldmark.workflow.dataset import load, prepared
from fieldmark.workflow.environment import differences, fingerprint
from fieldmark.workflow.machine import cores
from fieldmark.workflow.provenance import MadeOf
from fieldmark.workflow.same_model import Sameness, compared
from fieldmark.workflow.training import train_again

_THREADS: Final = 64
"""What a file from elsewhere may ask for on any computer, so that it can come out the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """What came of training a model once more; ``str`` prints it."""

    file: Path
    model_id: str
    data: tuple[str, ...] | None
    """What is different about the data; None: neither the file nor its folder says what it was."""
    n_pictures: int
    """Here, used and left out."""
    environment: tuple[str, ...] | None
    """What is different about versions, processor and threads; None: the file does not say."""
    reasons: tuple[str, ...]
    """Why it may not come out the same although nothing differs."""
    sameness: Sameness | None
    """The two files held against each other; None: nothing was trained."""
    folder: Path | None = None
    """The run that was trained, where it was to be kept."""

    @property
    def identical(self) -> bool | None:
        """Whether every byte came out the same; None: nothing was trained."""
        return None if self.sameness is None else not self.sameness.different

    @property
    def passed(self) -> bool:
        """Whether the model came out the same; untrained: whether anything differs so far."""
        if self.sameness is not None:
            return not self.sameness.different
        return not (self.data or self.environment)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; the keys are stable."""
        return {
            "schema": "fieldmark.reproduction/1",
            "file": str(self.file),
            "model_id": self.model_id,
            "identical": self.identical,
            "passed": self.passed,
            "data": None if self.data is None else list(self.data),
            "n_pictures": self.n_pictures,
            "environment": None if self.environment is None else list(self.environment),
            "reasons": list(self.reasons),
            "result": None if self.sameness is None else self.sameness.to_dict(),
            "run": None if self.folder is None else str(self.folder),
        }

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """Print it; what is wider than the screen may be carried over at column 10."""
        pictures = f"the same {self.n_pictures:,} files: content, labels and parts"
        lines = [f"model     {self.file}"]
        lines += _said("data", self.data, pictures)
        lines += _said("computer", self.environment, "the same versions, processor and threads")
        lines += [f"note      {each}" for each in self.reasons]
        if self.sameness is not None:
            lines += self.sameness.lines()
            if self.sameness.different and not (self.environment or self.reasons):
                lines.append("why       nothing that was compared explains it")
        if self.folder is not None:
            lines.append(f"run       {self.folder}")
        return [*lines, "", self._verdict()]

    def _verdict(self) -> str:
        if self.sameness is not None:
            if not self.sameness.different:
                return f"Identical, byte for byte: {self.model_id}"
            return "Not identical."
        if self.data:
            return "Not trained: it would learn from other data."
        unknown = self.data is None or self.environment is None
        what = "what could be compared" if unknown else "everything that was compared"
        return f"Nothing was trained; {what} is {'the same' if self.passed else 'not the same'}."


def reproduce(
    file: str | Path,
    data: str | Path = "",
    *,
    out: str | Path = "",
    train: bool = True,
    runs_folder: str | Path = "runs",
    listen: Listener = silent,
) -> Reproduction:
    """Train a model once more, with its settings, seed and moment, and compare the two files.

    First the data and the computer are compared with what the file says of them. Other data is not
    trained on; another computer is, and the report says by how much the weights differ.

    Parameters
    ----------
    file : str or Path
        A ``.fieldmark`` file, a run folder, a run's name, or ``latest``.
    data : str or Path, default=""
        The data folder, or list, that it was trained on; empty: where the run's folder says. Lists
        of labels, groups, fixes and parts are taken from where they were, from this folder, or
        from beside the file.
    out : str or Path, default=""
        Keep the new run in this folder; empty: it is thrown away.
    train : bool, default=True
        False: compare only.
    runs_folder : str or Path, default="runs"
        Where names are looked up.
    listen : callable, optional
        Gets the events of the training.

    Returns
    -------
    Reproduction

    Raises
    ------
    UsageError
        ``no-run``; ``no-recipe``; ``no-data``; ``list-missing``; ``recipe-unsafe``; ``exists``: the
        run is in ``out`` already.
    BundleError
        The file is damaged, unsafe or too new.
    FieldmarkError
        As :func:`fieldmark.train`.
    KeyboardInterrupt
        Stopped before the training was done.

    Examples
    --------
    ::

        fm.reproduce("flowers.fieldmark", "flowers").identical
    """
    path = runs.find(file, Path(runs_folder))
    made = bundles.read(path, weights=True)
    asked, of = provenance.read(made)
    beside = _beside(path)
    settings = _here(asked, beside, path, str(data))
    loaded = load(
        settings.data.folder,
        labels=settings.data.labels or None,
        label_from=settings.data.label_from,
        groups=settings.data.groups,
        overrides=settings.data.overrides,
    )
    manifest = prepared(loaded.manifest, settings, listen=listen).manifest
    there = None if of is None else of.data["sha256"]
    other = same_data.differences(
        manifest, data_of(manifest), there, path.parent if beside else None
    )
    threads = cores() if settings.train.threads == "auto" else settings.train.threads
    here = fingerprint(threads)
    found = Reproduction(
        file=path,
        model_id=made.model_id,
        data=other,
        n_pictures=len(manifest.examples) + len(manifest.left_out),
        environment=None if of is None else tuple(differences(of.environment, here)),
        reasons=_reasons(of, asked, manifest.name),
        sameness=None,
    )
    if other or not train:
        return found
    return _trained(found, made, settings, str(out), listen)


def _trained(
    found: Reproduction, made: Bundle, settings: Settings, out: str, listen: Listener
) -> Reproduction:
    again = Again(name=runs.named(made.name), created=made.created or now())
    with TemporaryDirectory(prefix="fieldmark-") as room:
        there = settings.changed("run", {"out": str(Path(out).absolute()) if out else room})
        run = train_again(there, again, listen=listen)
        repeated = provenance.read(bundles.read(run.bundle))[1]
        if repeated is not None and repeated.stopped:  # by Ctrl-C: there is no clock
            raise KeyboardInterrupt
        return dataclasses.replace(
            found,
            sameness=compared(found.file, made, run.bundle),
            folder=run.folder if out else None,
        )


def _beside(path: Path) -> Settings | None:
    """Return the settings in the run folder around a model file; None: it stands alone."""
    folder = RunFolder(path.resolve().parent)
    listed = folder.path / "config.toml"
    if folder.bundle != path.resolve() or not listed.is_file():
        return None
    return read_settings(listed)


def _here(asked: Settings, beside: Settings | None, path: Path, data: str) -> Settings:
    """Return the settings with the paths of this computer in them again."""
    folder = data or (beside.data.folder if beside is not None else "")
    if not folder:
        raise UsageError(
            "The model file stands alone and does not say where its pictures lie.",
            code="no-data",
            where=str(path),
            hint=f"fieldmark reproduce {path.name} FOLDER",
        )
    places = [Path(folder), path.resolve().parent]
    clean = provenance.without_places(asked, asked.data.folder)
    # The paths of its own folder are followed; one in a file from elsewhere never is.
    before = beside or clean
    lists = {
        name: _list(getattr(asked.data, name), getattr(before.data, name), places)
        for name in ("labels", "groups", "overrides")
    }
    saved = _list(asked.split.file, before.split.file, places)
    found = clean.changed("data", {"folder": str(Path(folder).absolute())} | lists)
    found = found.changed("split", {"file": saved})
    if beside is None:
        _refuse_unsafe(asked, path)
        if found.train.threads != "auto":  # a difference is said with those of the computer
            most = min(found.train.threads, max(_THREADS, cores()))
            found = found.changed("train", {"threads": most})
    elif found.net.layers:  # where a backbone's own file lies
        found = found.changed("net", {"layers": beside.net.layers})
    return found


def _refuse_unsafe(asked: Settings, path: Path) -> None:
    """Refuse what a file from elsewhere must not say: it may read what it likes, or never end."""
    for name in ("label_from", "groups"):
        pattern = getattr(asked.data, name)
        if pattern.startswith("name:"):
            raise _unsafe(f"Its {name} is the pattern {pattern[:80]!r}.", path)
    network = parse(asked.net.layers) if asked.net.layers else None
    first = network.items[0] if network is not None and network.items else None
    source = first.source if isinstance(first, Backbone) else ""
    for place in (asked.net.name, source):
        if "/" in place or "\\" in place:
            raise _unsafe(f"Its network is to be read from {place[:80]!r}.", path)


def _unsafe(what: str, path: Path) -> UsageError:
    return UsageError(
        f"{what} A model file that stands alone may not say that.",
        code="recipe-unsafe",
        where=str(path),
        why="A pattern can be made never to end, and a path leads to any file of this computer.",
        hint="reproduce it in its run folder, beside config.toml; or train anew with\n"
        "the same options: fieldmark train FOLDER",
    )


def _list(name: str, before: str, places: Sequence[Path]) -> str:
    """Return where a list lies: where it was, in the data folder, or beside the model file."""
    if not provenance.is_list(name):
        return name
    own = provenance.name_of(name)
    known = [Path(before)] if Path(before).is_absolute() and Path(before).name == own else []
    for path in (*known, *(place / own for place in places)):
        if path.is_file():
            return str(path.absolute())
    raise UsageError(
        f"The list {own!r} that the model was made with is not there.",
        code="list-missing",
        where=", ".join(map(str, places)),
        why="Labels, groups, fixes or parts came from it.",
        hint="put it into the data folder, or beside the model file",
    )


def _reasons(of: MadeOf | None, asked: Settings, name: str) -> tuple[str, ...]:
    """Say what may keep the bytes from being the same although data and computer are."""
    found = []
    if of is not None and of.stopped:
        found.append(f"{of.stopped} No setting repeats that.")
    if of is not None and of.continued:
        what = "; ".join(of.continued)
        found.append(f"It was continued under other conditions than it began: {what}.")
    if asked.data.folder != name:
        said = f"The data folder is called {name!r} here and was {asked.data.folder!r}"
        found.append(f"{said}: report and card name it, and so does the recipe.")
    return tuple(found)


def _said(name: str, differing: Sequence[str] | None, same: str) -> list[str]:
    if differing is None:
        return [f"{name:<10}not compared: the file does not say"]
    return [f"{name:<10}{each}" for each in differing] or [f"{name:<10}{same}"]
