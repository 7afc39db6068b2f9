"""``fieldmark train``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from fieldmark.cli.options import (
    Groups,
    JsonLines,
    LabelFrom,
    Labels,
    Near,
    NoClean,
    Overrides,
    Quiet,
    checked_folds,
)
from fieldmark.cli.progress import TrainingScreen
from fieldmark.cli.screen import Screen, screen, shown

if TYPE_CHECKING:
    from fieldmark.config import Settings
    from fieldmark.training.events import Event
    from fieldmark.workflow.continuing import Unfinished
    from fieldmark.workflow.run import Run

AUTO = "auto"
NOTES: Final = 3
"""Cautions that are printed at most; the report has all of them."""


def train(
    folder: Annotated[
        str, typer.Argument(help="Class folders, train/val/test folders of them, or a CSV.")
    ] = "",
    net: Annotated[
        str, typer.Option(help="auto, a catalogue name, a layer list, or a file with one.")
    ] = "",
    preset: Annotated[
        str, typer.Option(help="fast: 5 minutes, or best: 20; other options win over it.")
    ] = "",
    recipe: Annotated[str, typer.Option(help="tuned, or article: the tutorial's, exactly.")] = "",
    size: Annotated[str, typer.Option(help="Pixels each way, or auto.")] = "",
    fit: Annotated[str, typer.Option(help="crop, pad, stretch or auto.")] = "",
    epochs: Annotated[str, typer.Option(help="Passes over the training part, or auto.")] = "",
    steps_per_epoch: Annotated[
        int | None, typer.Option(help="Batches that count as an epoch; 0: one pass.")
    ] = None,
    time: Annotated[str, typer.Option(help="Time budget: 90s, 10m, 1h.")] = "",
    ram: Annotated[str, typer.Option(help="The most memory to take: 800MB or 2GB.")] = "",
    patience: Annotated[str, typer.Option(help="Epochs without progress; 0: never stop.")] = "",
    batch: Annotated[str, typer.Option(help="Pictures per step, or auto.")] = "",
    optimizer: Annotated[str, typer.Option(help="adam, adamw, sgd or auto.")] = "",
    lr: Annotated[str, typer.Option(help="Learning rate; auto: by a range test.")] = "",
    schedule: Annotated[str, typer.Option(help="constant, one-cycle or auto.")] = "",
    augment: Annotated[str, typer.Option(help="none, light, strong, article or auto.")] = "",
    sizes: Annotated[
        str, typer.Option(help="Pixels while training, such as 48,64; none, or auto.")
    ] = "",
    fine_tune: Annotated[
        bool, typer.Option("--fine-tune", help="Train the last blocks of a backbone too.")
    ] = False,
    fine_tune_all: Annotated[
        bool, typer.Option("--fine-tune-all", help="Then every layer of it: slow.")
    ] = False,
    engine: Annotated[
        str, typer.Option(help="For a backbone: onnxruntime, openvino or auto.")
    ] = "",
    int8: Annotated[
        bool, typer.Option("--int8", help="Add an int8 network, if it passes the gate.")
    ] = False,
    copies: Annotated[
        str, typer.Option(help="Warped copies of each picture for a head, or auto.")
    ] = "",
    balance: Annotated[str, typer.Option(help="none, or weights: rare classes count more.")] = "",
    error: Annotated[
        float | None, typer.Option(help="Share of errors among accepted answers, 0.05.")
    ] = None,
    val: Annotated[float | None, typer.Option(help="Share of the validation part.")] = None,
    test: Annotated[float | None, typer.Option(help="Share of the test part.")] = None,
    threads: Annotated[str, typer.Option(help="Number of threads, or auto.")] = "",
    seed: Annotated[int | None, typer.Option(help="Repeats a run exactly.")] = None,
    folds: Annotated[
        int | None, typer.Option(help="Train once more for each of so many folds.")
    ] = None,
    repeat: Annotated[
        int | None, typer.Option(help="Trainings with other seeds; with folds, of all folds.")
    ] = None,
    labels: Labels = "",
    label_from: LabelFrom = "",
    groups: Groups = "",
    overrides: Overrides = "",
    split: Annotated[
        str, typer.Option(help="Use the parts that fieldmark split saved.", metavar="FILE")
    ] = "",
    near: Near = None,
    no_clean: NoClean = False,
    name: Annotated[str, typer.Option(help="Of the run; default: the folder's name.")] = "",
    out: Annotated[
        str, typer.Option("--out", "-o", help="Folder of the runs.", metavar="FOLDER")
    ] = "",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an unfinished run: FOLDER may name it.")
    ] = False,
    resume_anyway: Annotated[
        bool, typer.Option("--resume-anyway", help="On another computer or version too.")
    ] = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Keep no decoded pictures.")] = False,
    allow_network: Annotated[
        bool, typer.Option("--allow-network", help="Let Keras fetch a backbone's weights.")
    ] = False,
    config: Annotated[
        str, typer.Option(help="Settings; a run's config.toml repeats it.", metavar="FILE")
    ] = "",
    json_: JsonLines = False,
    quiet: Quiet = False,
) -> int:
    """Train a classifier, then measure it on unseen pictures.

    The test part is read once, after every choice has been made. Ctrl-C ends the epoch, keeps the
    best one and measures it; Ctrl-C again quits at once.

    A run that was killed goes on when the same command is given again, or with --resume [RUN], and
    ends with the same bytes. --epochs 40 --resume plans the rest anew.

    Without --net, a head is solved on the features of a pretrained backbone: seconds, and no
    training backend. --fine-tune trains its last blocks too.

    --folds 5 --repeat 3 then trains 15 times more and says how much of the result is luck.

    Example: fieldmark train flowers --net small --time 5m
    """
    files = {"labels": labels, "label_from": label_from, "groups": groups, "overrides": overrides}
    tables: dict[str, dict[str, Any]] = {
        "data": {"fit": fit, **files},
        "split": {
            "valid": val,
            "test": test,
            "file": str(Path(split).absolute()) if split else "",
            "folds": folds,
        },
        "audit": {"near": near, "clean": _off(no_clean)},
        "net": {"size": _number(size)},
        "train": {
            "recipe": recipe,
            "epochs": _number(epochs),
            "steps_per_epoch": steps_per_epoch,
            "time": time,
            "patience": _number(patience),
            "batch": _number(batch),
            "optimizer": optimizer,
            "lr": _number(lr),
            "schedule": schedule,
            "augment": augment,
            "sizes": sizes,
            "balance": balance,
            "threads": _number(threads),
            "seed": seed,
            "repeats": repeat,
        },
        "head": {
            "fine_tune": "all" if fine_tune_all else "blocks" if fine_tune else None,
            "engine": engine,
            "copies": _number(copies),
        },
        "decide": {"error": error},
        "run": {
            "name": name,
            "out": out,
            "cache": _off(no_cache),
            "int8": int8 or None,
            "ram": ram,
            "allow_network": allow_network or None,
        },
    }
    screened = screen().settle(as_json=json_, quiet=quiet)
    checked_folds(folds)
    kept = _unfinished(folder, out) if resume or resume_anyway else None
    settings = _settings(preset, config, tables, kept)
    given = (folder or settings.data.folder, net or AUTO)
    return _trained(screened, given, settings, kept, anyway=resume_anyway)


class _Listening:
    """Shows a training, and its figures before the repeats, which may take hours; final."""

    def __init__(self, watcher: TrainingScreen, out: Screen) -> None:
        self.told = False
        self._watcher, self._out = watcher, out

    def __call__(self, event: Event) -> None:
        """Take one event."""
        from fieldmark.training.events import RunFinished
        from fieldmark.workflow.run import Run

        self._watcher(event)
        if isinstance(event, RunFinished):
            self.tell(Run(Path(event.folder)))

    def tell(self, run: Run) -> None:
        """Print what the test part said, once."""
        if not self.told and not self._out.as_json:
            _tell(self._out, run)
        self.told = True


def _trained(
    out: Screen,
    given: tuple[str, str],
    settings: Settings,
    kept: Unfinished | None,
    *,
    anyway: bool,
) -> int:
    """Train a network on a folder, or go on with a run, and print; return the exit status."""
    from fieldmark.errors import UsageError
    from fieldmark.workflow import training

    folder, net = given
    if not folder:
        raise UsageError("No data folder is given.", code="usage", hint="fieldmark train FOLDER")
    with TrainingScreen(out) as watcher:
        listen = _Listening(watcher, out)
        if kept is not None:
            run = training.resume(kept, net, settings=settings, anyway=anyway, listen=listen)
        else:
            command = shlex.join(["fieldmark", *sys.argv[1:]])
            run = training.train(folder, net, settings=settings, listen=listen, command=command)
    if not out.as_json:
        listen.tell(run)
        if run.repeats is not None:
            out.wrapped(["", *run.repeats.lines()])
        out.results(["", str(run.folder / "report.html"), str(run.bundle)])
        out.next("fieldmark predict latest PICTURES", "fieldmark evaluate latest OTHER_FOLDER")
    return 130 if watcher.interrupted else 0


def _tell(out: Screen, run: Run) -> None:
    """Print the figures of a run, where it fails, and what limits its figures."""
    out.results(run.report.lines(out.width))
    if run.weak_spots is not None:
        out.wrapped(f"  {shown(line)}" for line in run.weak_spots.lines())
    if run.more_data is not None:
        out.wrapped(["", run.more_data["line"], run.more_data["class_line"]])
    said = (run.report.verdict, run.report.alone.verdict)
    notes = [each for each in run.cautions if each not in said][:NOTES]
    out.wrapped(["", *(f"  note: {shown(each)}" for each in notes)] if notes else [], hang=6)


def _unfinished(thing: str, out: str) -> Unfinished:
    """Find the run to go on with: where FOLDER would stand, its name may."""
    from fieldmark.config import RunSettings
    from fieldmark.workflow.continuing import unfinished

    return unfinished(thing, Path(out or RunSettings().out))


def _settings(
    preset: str, config: str, tables: dict[str, dict[str, Any]], kept: Unfinished | None = None
) -> Settings:
    """Lay an unfinished run's, the preset, the file and the options over each other, in turn."""
    from fieldmark import config as configs

    settings = kept.settings if kept is not None else configs.Settings()
    if preset:
        settings = configs.preset(preset, settings)
    if config:
        settings = configs.read(Path(config), settings)
    for table, values in tables.items():
        given = {key: value for key, value in values.items() if value not in ("", None)}
        settings = settings.changed(table, given)
    return settings


def _off(given: bool) -> bool | None:
    """Turn a setting off where that was asked for, else leave it alone."""
    return False if given else None


def _number(text: str) -> int | float | str:
    """Read a number where one is written; anything else is left for the settings to refuse."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
