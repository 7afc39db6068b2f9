"""``fieldmark split``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from fieldmark.cli.options import (
    Groups,
    Json,
    LabelFrom,
    Labels,
    Near,
    NoClean,
    Overrides,
    Quiet,
    again,
    checked_folds,
)
from fieldmark.cli.progress import TrainingScreen
from fieldmark.cli.screen import screen, shown

if TYPE_CHECKING:
    from fieldmark.workflow.splitting import Divided


def split(
    folder: Annotated[str, typer.Argument(help="Class folders, ready-made parts, or a CSV.")],
    test: Annotated[float, typer.Option(help="Share of the test part.")] = 0.15,
    val: Annotated[float, typer.Option(help="Share of the validation part.")] = 0.15,
    saved: Annotated[
        str, typer.Option("--split", help="An older split: its parts stay.", metavar="FILE")
    ] = "",
    groups: Groups = "",
    folds: Annotated[int, typer.Option(help="Deal into so many folds as well; 0: none.")] = 0,
    seed: Annotated[int, typer.Option(help="Another one draws other parts.")] = 0,
    out: Annotated[
        str, typer.Option("--out", "-o", help="The file to write; - prints it.", metavar="FILE")
    ] = "",
    labels: Labels = "",
    label_from: LabelFrom = "folder",
    overrides: Overrides = "auto",
    near: Near = None,
    no_clean: NoClean = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    json_: Json = False,
    quiet: Quiet = False,
) -> int:
    """Fix which files are for training, validation and test.

    What belongs together is never divided. The parts are written to FOLDER.split.csv in the current
    folder. When pictures were added, --split FILE keeps the old parts.

    Example: fieldmark split flowers
    """
    from fieldmark.config import Settings
    from fieldmark.data import split_file
    from fieldmark.workflow.splitting import STANDARD_OUTPUT, split_folder

    screened = screen().settle(as_json=json_, quiet=quiet)
    checked_folds(folds)
    data = {"labels": labels, "label_from": label_from, "groups": groups, "overrides": overrides}
    parts = {"valid": val, "test": test, "seed": seed, "folds": folds, "file": saved}
    settings = Settings().changed("data", data).changed("split", parts)
    audit = {"clean": not no_clean} | ({} if near is None else {"near": near})
    settings = settings.changed("audit", audit)
    with TrainingScreen(screened) as watcher:
        done = split_folder(folder, out, settings=settings, force=force, listen=watcher)
    if json_:
        screened.json(done.to_dict())
    elif out == STANDARD_OUTPUT:
        screened.results(split_file.text(done.manifest).splitlines())
    else:
        screened.results(_lines(done))
    for note in done.notes:
        screened.say(shown(str(note)))
    if out == STANDARD_OUTPUT:
        return 0
    given = {"--split": str(done.file), "--near": near, "--no-clean": no_clean, **data}
    options = {f"--{name.strip('-').replace('_', '-')}": value for name, value in given.items()}
    screened.next(shown(again("train", folder, options)))
    return 0


def _lines(done: Divided) -> Iterator[str]:
    """Show classes by parts, and what was kept together."""
    from fieldmark.evaluation.wording import counted

    manifest = done.manifest
    n, k = len(manifest.examples), len(manifest.classes)
    yield f"{shown(manifest.name)}: {n:,} pictures in {k} classes"
    yield ""
    parts = [manifest.counts(part) for part in ("train", "valid", "test")]
    names = {label: shown(label) for label in manifest.classes}
    widest = max(len("class"), *map(len, names.values()))
    yield f"  {'class':<{widest}}{'train':>9}{'valid':>9}{'test':>9}"
    for label, name in names.items():
        yield f"  {name:<{widest}}" + "".join(f"{counts[label]:>9,}" for counts in parts)
    yield f"  {'all':<{widest}}" + "".join(f"{sum(counts.values()):>9,}" for counts in parts)
    yield ""
    if done.folds():
        yield f"  folds            {', '.join(f'{number:,}' for number in done.folds())}"
    together = (
        (done.n_groups, "group", ""),
        (done.n_clusters, "cluster", " of near copies"),
        (done.n_copied, "picture", " with equal copies"),
    )
    told = ", ".join(counted(number, what) + rest for number, what, rest in together if number)
    yield f"  kept together    {told or 'nothing: no groups, no copies'}"
    if manifest.left_out:
        yield f"  left out         {len(manifest.left_out):,} files"
    yield ""
    yield shown(str(done.file))
