"""``fieldmark show``."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from fieldmark.cli.options import Json, LabelFrom, Labels, Overrides, Quiet
from fieldmark.cli.screen import screen, shown

N_NAMED: Final = 10
"""Files of the sample that could not be read, named on the screen; the page names more."""


def show(
    folder: Annotated[str, typer.Argument(help="Class folders, ready-made parts, or a CSV.")],
    augment: Annotated[str, typer.Option(help="none, light, strong or article.")] = "light",
    net: Annotated[str, typer.Option(help="Whose input is shown; default: as train.")] = "auto",
    size: Annotated[
        int | None, typer.Option(help="Pixels each way; default: the network's.", min=8, max=2048)
    ] = None,
    fit: Annotated[str, typer.Option(help="crop, pad, stretch or auto.")] = "auto",
    per_class: Annotated[int, typer.Option(help="Pictures of each class.", min=1, max=100)] = 12,
    seed: Annotated[int, typer.Option(help="Of the sample and the changes.")] = 0,
    labels: Labels = "",
    label_from: LabelFrom = "folder",
    overrides: Overrides = "auto",
    out: Annotated[
        str,
        typer.Option("--out", "-o", help="Default: <folder>.show.html, here.", metavar="FILE"),
    ] = "",
    json_: Json = False,
    quiet: Quiet = False,
) -> int:
    """Show samples, what a network receives, what augmentation does.

    Writes one page: a sample of each class, a few pictures beside exactly the array that the
    network receives, and what augmentation makes of them. Only a page of this verb is replaced.

    Example: fieldmark show flowers --augment strong
    """
    from fieldmark.config import Settings
    from fieldmark.workflow.dataset import corrected, load
    from fieldmark.workflow.pages import place
    from fieldmark.workflow.showing import show as look

    screen_ = screen().settle(as_json=json_, quiet=quiet)
    given: dict[str, dict[str, Any]] = {
        "data": {"fit": fit},
        "net": {"name": net} if size is None else {"name": net, "size": size},
        "train": {"augment": augment, "seed": seed},
    }
    settings = Settings()
    for table, values in given.items():
        settings = settings.changed(table, values)
    data = load(folder, labels=labels or None, label_from=label_from, overrides=overrides)
    manifest = corrected(data.manifest, data.source).manifest
    path = place(out, manifest.name, "show", manifest.root)
    sheet = look(manifest, settings, per_class=per_class)
    sheet.save(path)
    if json_:
        screen_.json({**sheet.to_dict(), "file": str(path)})
    else:
        unread = sheet.facts.unread
        for picture in unread[:N_NAMED]:
            screen_.say(f"could not be read: {shown(picture.path)}: {shown(picture.note)}")
        if len(unread) > N_NAMED:
            screen_.say(f"and {len(unread) - N_NAMED:,} more; the page names them")
        screen_.result(shown(str(path)))
        screen_.next(f"fieldmark check {shown(folder)}")
    return 0
