"""From a folder to a finished run: scan, split, decode, train, export, measure once, write."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from fieldmark.atomic import check_room
from fieldmark.config import Auto, RunSettings, Settings, TrainSettings
from fieldmark.data import cache, store
from fieldmark.data.folds import MAX_FOLDS
from fieldmark.data.manifest import Manifest
from fieldmark.errors import UsageError
from fieldmark.evaluation.repeats import Repeats
from fieldmark.networks.layer_table import layer_table
from fieldmark.runs import RunFolder
from fieldmark.training import backend
from fieldmark.training.events import Listener, Noted, silent
from fieldmark.workflow.choosing import Choice, choose, starts_pretrained
from fieldmark.workflow.continuing import Again, Unfinished, data_of, unfinished
from fieldmark.workflow.dataset import Dataset, load, prepared
from fieldmark.workflow.finishing import finish
from fieldmark.workflow.machine import cores
from fieldmark.workflow.network import Net
from fieldmark.workflow.repeating import afresh, repeated
from fieldmark.workflow.run import Run
from fieldmark.workflow.scratch import from_scratch
from fieldmark.workflow.session import Session
from fieldmark.workflow.transfer import from_backbone
from fieldmark.workflow.turns import check

LEAST_BYTES: Final = 1_000_000
"""What the smallest run and its cache take up."""
_OF_A_WEIGHT: Final = 20
"""Bytes a weight takes up in a run folder: the graph, and the model file while it is replaced."""
_OF_A_TRAINED_ONE: Final = 32
"""And in two checkpoints, with what the optimizer knows of it."""


def train(
    data: Dataset | str | Path,
    net: str | Net = "auto",
    *,
    epochs: int | Auto = "auto",
    settings: Settings | None = None,
    listen: Listener = silent,
    command: str = "",
) -> Run:
    """Train a classifier, then measure it once on pictures it never saw.

    Parameters
    ----------
    data : Dataset, str or Path
        As :func:`fieldmark.load` takes it, or gives it.
    net : str or Net, default="auto"
        A catalogue name, a layer list, a file that holds one, or what :func:`fieldmark.net` gives.
    epochs : int or "auto", default="auto"
        Passes over the training part.
    settings : Settings, optional
        Everything else; ``net`` and ``epochs`` win over it where they are not ``auto``.
    listen : callable, optional
        Gets every :class:`~fieldmark.training.events.Event`.
    command : str, default=""
        Kept in the run: what to type to repeat it.

    Returns
    -------
    Run
        Its folder is complete.

    Raises
    ------
    FieldmarkError
        Any of ``docs/errors.md``; a folder that was already made stays, unfinished. Whatever can be
        seen of the places to write to, a ``StorageError``, comes before any work.

    Examples
    --------
    ::

        run = fieldmark.train("flowers")
        print(run.report.accuracy)
    """
    asked = settings or Settings()
    if epochs != "auto":
        asked = asked.changed("train", {"epochs": epochs})
    _check_places(asked.run)
    session, manifest, choice = _begun(data, net, asked, listen)
    session.command = command
    return _trained(session, manifest, choice)


def cross_validate(
    data: Dataset | str | Path,
    net: str | Net = "auto",
    *,
    folds: int = 5,
    repeats: int = 1,
    settings: Settings | None = None,
    listen: Listener = silent,
) -> Repeats:
    """Train on all but one fold and test on it, for every fold; nothing is written or shipped.

    Unlike the folds of :func:`train`, no choice was made before: the network's way, warped copies
    and the strength of a head are chosen anew in every training, which takes longer.

    Parameters
    ----------
    data : Dataset, str or Path
        As :func:`fieldmark.load` takes it, or gives it.
    net : str or Net, default="auto"
        As for :func:`train`.
    folds : int, default=5
        2 to 20; what belongs together stays in one fold.
    repeats : int, default=1
        So many times with folds dealt anew.
    settings : Settings, optional
        Everything else.
    listen : callable, optional
        Gets every :class:`~fieldmark.training.events.Event`.

    Returns
    -------
    Repeats
        Mean, spread, and an interval that counts the draw of the pictures and of the trainings.

    Raises
    ------
    FieldmarkError
        Any of ``docs/errors.md``.
    KeyboardInterrupt
        Stopped before the first training was done.

    Examples
    --------
    ::

        print(fieldmark.cross_validate("flowers", folds=5, repeats=3).accuracy)
    """
    if folds < 2:
        raise UsageError(
            f"{folds} folds make no sense; there may be 2 to {MAX_FOLDS}.",
            code="folds",
            hint="folds=5",
        )
    asked = (settings or Settings()).changed("train", {"repeats": repeats})
    session, manifest, choice = _begun(data, net, asked.changed("split", {"folds": folds}), listen)
    check(manifest, session.settings)
    with TemporaryDirectory(prefix="fieldmark-") as room:
        session.folder = RunFolder(Path(room))
        found = afresh(session, manifest, choice)
    if found is None:
        raise KeyboardInterrupt
    return found


def _begun(
    data: Dataset | str | Path, net: str | Net, asked: Settings, listen: Listener
) -> tuple[Session, Manifest, Choice]:
    """Go from what was asked for to parts and a network."""
    if isinstance(net, Net):
        asked = asked.changed("net", {"name": "layers", "layers": str(net)})
    elif net != "auto":
        asked = asked.changed("net", _net_setting(net))
    dataset = data if isinstance(data, Dataset) else _loaded(data, asked)
    source = dataclasses.asdict(dataset.source) | {"fit": asked.data.fit}
    asked = asked.changed("data", source)
    if dataset.shares is not None:
        shares = dataclasses.asdict(dataset.shares)
        shares["folds"] = asked.split.folds or shares["folds"]
        asked = asked.changed("split", shares)
    return _prepared(dataset, asked, listen)


def resume(
    kept: Unfinished,
    net: str = "auto",
    *,
    settings: Settings,
    anyway: bool = False,
    listen: Listener = silent,
) -> Run:
    """Go on with a run that was begun and not finished.

    Parameters
    ----------
    kept : Unfinished
        Of :func:`fieldmark.workflow.continuing.unfinished`.
    net : str, default="auto"
        As for :func:`train`; ``auto``: its own.
    settings : Settings
        Its own; other epochs or another time may be asked.
    anyway : bool, default=False
        Go on under other conditions too, though the weights then come out otherwise.
    listen : callable, optional

    Raises
    ------
    UsageError
        Codes ``resume-differs``, ``resume-environment``, ``run-busy``.
    FieldmarkError
        As :func:`train`.
    """
    _check_places(dataclasses.replace(settings.run, out=str(kept.folder.path.parent)))
    session, manifest, choice = _begun(settings.data.folder, net, settings, listen)
    session.command, session.wanted, session.anyway = kept.record.command, kept, anyway
    return _trained(session, manifest, choice)


def resume_named(
    run: str | Path = "",
    *,
    epochs: int | Auto = "auto",
    runs_folder: str | Path = "",
    anyway: bool = False,
    listen: Listener = silent,
) -> Run:
    """Go on with a run that was begun and not finished, or whose further trainings were not.

    It ends with the bytes that it would have ended with undisturbed, unless other epochs are asked
    for. The same call of :func:`train` again does the same, where settings and data are the same.

    Parameters
    ----------
    run : str or Path, default=""
        A run's name or folder; a data folder: its newest unfinished run; empty: the newest of all.
    epochs : int or "auto", default="auto"
        Passes over the training part in all, at least those that are done; ``auto``: as planned.
    runs_folder : str or Path, default=""
        Where names are looked up; empty: ``runs``.
    anyway : bool, default=False
        Go on on another computer or version too, though the weights then come out otherwise.
    listen : callable, optional
        Gets every :class:`~fieldmark.training.events.Event`.

    Returns
    -------
    Run
        Its folder is complete.

    Raises
    ------
    UsageError
        Codes ``nothing-to-resume``, ``resume-differs``, ``resume-environment``, ``run-busy``.
    FieldmarkError
        As :func:`train`.

    Examples
    --------
    ::

        run = fieldmark.resume()
        run = fieldmark.resume("flowers-1", epochs=40)
    """
    kept = unfinished(str(run), Path(runs_folder or RunSettings().out))
    settings = kept.settings
    if epochs != "auto":
        settings = settings.changed("train", {"epochs": epochs})
    return resume(kept, settings=settings, anyway=anyway, listen=listen)


def train_again(settings: Settings, again: Again, *, listen: Listener = silent) -> Run:
    """Train what a finished run says once more, under its name and its moment.

    Parameters
    ----------
    settings : Settings
        Of the finished run; their ``run.out`` says where this one goes.
    again : Again
    listen : callable, optional

    Raises
    ------
    UsageError
        Code ``exists``: there is such a run where it would go.
    FieldmarkError
        As :func:`train`.
    """
    session, manifest, choice = _begun(settings.data.folder, "auto", settings, listen)
    session.command, session.again = "fieldmark reproduce", again
    return _trained(session, manifest, choice)


def _check_places(run: RunSettings) -> None:
    """Refuse, before anything is read, what could not be kept after it."""
    check_room(Path(run.out), LEAST_BYTES)
    if run.cache:
        check_room(cache.default_directory(), LEAST_BYTES, hint=store.HINT)


def _trained(session: Session, manifest: Manifest, choice: Choice) -> Run:
    n_bytes = _OF_A_WEIGHT + (_OF_A_TRAINED_ONE if choice.plan.backbone is None else 0)
    needed = LEAST_BYTES + n_bytes * layer_table(choice.plan).n_weights
    wanted = session.wanted
    check_room(wanted.folder.path if wanted else Path(session.settings.run.out), needed)
    if session.settings.split.folds:
        check(manifest, session.settings)
    way = from_scratch if choice.plan.backbone is None else from_backbone
    try:
        trained = way(session, manifest, choice)
        run = finish(session, trained, session.command)
        if session.again is None:
            repeated(session, trained, RunFolder(run.folder))
    finally:
        if session.held is not None:
            session.held.lock.release()
    return run


def _prepared(
    dataset: Dataset, settings: Settings, listen: Listener
) -> tuple[Session, Manifest, Choice]:
    train = settings.train
    threads = cores() if train.threads == "auto" else train.threads
    name = settings.run.name or dataset.manifest.root.resolve().name or "run"
    session = Session(settings, name, threads, listen)
    if not starts_pretrained(settings) or settings.head.fine_tune in ("blocks", "all"):
        backend.chosen()  # a missing extra is said before any work is done
    found = prepared(dataset.manifest, settings, threads=threads, listen=session.listen)
    manifest, session.looks = found.manifest, found.looks
    session.data = data_of(manifest)
    session.n_test = len(manifest.part("test"))
    for note in dict.fromkeys((*dataset.notes, *found.notes)):
        session.listen(Noted(code=note.code, text=note.text))
    choice = choose(
        settings,
        n_classes=len(manifest.classes),
        n_train=len(manifest.part("train")),
        listen=session.listen,
    )
    ours = choice.plan.backbone is not None and choice.plan.foreign is None
    if not ours and settings.head.fine_tune in ("blocks", "all"):
        raise UsageError(
            f"The network {choice.name} has nothing to fine-tune.",
            code="nothing-to-fine-tune",
            why="Fine-tuning starts from a BACKBONE whose layers and weights fieldmark knows.",
            hint="leave --fine-tune out, or use --net features",
        )
    if choice.plan.backbone is not None:
        _check_used(settings)
    return session, manifest, choice


_OF_GRADIENTS: Final = (
    "recipe",
    "epochs",
    "steps_per_epoch",
    "patience",
    "batch",
    "optimizer",
    "lr",
    "schedule",
    "weight_decay",
    "label_smoothing",
    "ema",
    "augment",
    "sizes",
)
"""Settings that a solved head has no use for."""


def _check_used(settings: Settings) -> None:
    """Refuse settings of training by gradients where nothing is trained by gradients."""
    train, usual = settings.train, TrainSettings()
    given = [name for name in _OF_GRADIENTS if getattr(train, name) != getattr(usual, name)]
    if given and not train.time and settings.head.fine_tune in ("auto", "none"):
        options = ", ".join("--" + name.replace("_", "-") for name in given)
        raise UsageError(
            f"A solved head has no use for {options}.",
            code="setting-unused",
            why="On a pretrained network the last layer is solved: there are no epochs or rates.",
            hint="add --fine-tune, or train from scratch: --net small",
        )


def _net_setting(net: str) -> dict[str, str]:
    from fieldmark.workflow.choosing import network_named

    name, network = network_named(net)
    return {"name": "layers", "layers": str(network)} if net != name else {"name": name}


def _loaded(folder: str | Path, settings: Settings) -> Dataset:
    data = settings.data
    return load(
        folder,
        labels=data.labels or None,
        label_from=data.label_from,
        groups=data.groups,
        overrides=data.overrides,
    )
