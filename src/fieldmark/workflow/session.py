"""One training under way: what was asked, who listens, how long it has run."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from fieldmark import runs
from fieldmark.config import Settings
from fieldmark.data.looks import Looks
from fieldmark.data.manifest import Manifest, Note
from fieldmark.evaluation.repeats import Repeats
from fieldmark.networks.layer_table import layer_table
from fieldmark.training import events
from fieldmark.training.checkpoint import Checkpoints
from fieldmark.training.events import Event, Listener, Progress
from fieldmark.training.recipe import HeadRecipe, Recipe
from fieldmark.workflow import continuing
from fieldmark.workflow.choosing import Choice
from fieldmark.workflow.continuing import Again, Held, Unfinished
from fieldmark.workflow.parts import check_parts
from fieldmark.workflow.promise import Promise

FEATURE_SHARE: Final = 0.25
"""Of the cache's limit that features may take; they are small, and soon made again."""


@dataclass
class Session:
    """What every way of training shares."""

    settings: Settings
    name: str
    """Of the run, before its number."""
    threads: int
    listener: Listener
    started: float = field(default_factory=time.monotonic)
    log: list[Event] = field(default_factory=list)
    folder: runs.RunFolder | None = None
    looks: Looks | None = None
    """What the audit saw of every picture; None: it was made before."""
    command: str = ""
    """What to type to repeat it; of a run that goes on, what began it."""
    wanted: Unfinished | None = None
    """The run to go on with; None: the same again, if it is there."""
    page: Callable[[Repeats | None], str] | None = None
    """Gives the report's page with what further trainings say, once the run is finished."""
    anyway: bool = False
    """Go on with it on another computer too."""
    again: Again | None = None
    """The finished run that this one repeats; its further trainings are left out."""
    data: dict[str, Any] = field(default_factory=dict)
    """What the data was once it had its parts: :func:`fieldmark.workflow.continuing.data_of`."""
    held: Held | None = None
    """The folder, while this process has it and the run is not finished."""
    n_test: int = 0
    """Pictures of the test part."""
    promises: list[Promise] = field(default_factory=list)
    """What was said of time and memory, and when."""
    kept: list[Checkpoints] = field(default_factory=list)
    """Where trainings of this run keep their state."""
    trained_s: float = 0.0
    """Seconds from the start to the end of the last training."""

    def listen(self, event: Event) -> None:
        """Pass an event on; all but progress are kept for the run's log."""
        if not isinstance(event, Progress):
            self.log.append(event)
        if isinstance(event, events.Stopped):
            self.trained_s = self.spent_s()
        self.listener(event)

    def progress(self, stage: str, done: int, total: int) -> None:
        """Say how far a stage is."""
        self.listen(Progress(stage=stage, done=done, total=total))

    def notes(self) -> tuple[Note, ...]:
        """Return what was said about lists and parts so far."""
        noted = [each for each in self.log if isinstance(each, events.Noted)]
        return tuple(Note(code=each.code, text=each.text) for each in noted)

    def spent_s(self) -> float:
        """Return the seconds since the command began."""
        return time.monotonic() - self.started

    def begin(self, manifest: Manifest) -> runs.RunFolder:
        """Make the run folder and say what the data is; once, however training goes on."""
        check_parts(manifest)
        if self.folder is not None:
            return self.folder
        asked = continuing.Asked(
            settings=self.settings,
            name=self.name,
            threads=self.threads,
            command=self.command,
            wanted=self.wanted,
            anyway=self.anyway,
            again=self.again,
        )
        self.held = held = continuing.begin(asked, manifest, self.listen)
        self.folder = folder = held.folder
        self.command = held.record.command
        self.listen(events.RunStarted(run=folder.name, folder=str(folder.path)))
        if held.note:
            self.listen(events.Noted(code="continued", text=held.note))
        n_used, n_left_out = len(manifest.examples), len(manifest.left_out)
        self.listen(
            events.DataChecked(
                n_found=n_used + n_left_out,
                n_used=n_used,
                n_left_out=n_left_out,
                left_out=dict(Counter(each.code for each in manifest.left_out)),
                train=len(manifest.part("train")),
                valid=len(manifest.part("valid")),
                test=len(manifest.part("test")),
                classes=manifest.classes,
                n_together=_n_together(manifest),
            )
        )
        return folder

    @property
    def created(self) -> str:
        """When the run began: every file of it that names a time names this one."""
        return self.held.record.created if self.held is not None else continuing.now()

    def checkpoints(self, what: str) -> Checkpoints | None:
        """Return where a training by gradients keeps its state; None: this is no run of its own."""
        if self.held is None:
            return None
        folder = self.held.folder.path / continuing.FOLDER
        self.kept.append(Checkpoints(folder, what, every_s=self.settings.run.checkpoint_s))
        return self.kept[-1]

    def planned(self, choice: Choice, recipe: Recipe | HeadRecipe) -> None:
        """Say what is about to be trained, and how."""
        table = layer_table(choice.plan, name=choice.name)
        self.listen(
            events.Planned(
                network=choice.name,
                layers=str(choice.plan.network),
                why=choice.why,
                weights=table.n_weights,
                multiply_adds=table.multiply_adds,
                recipe=recipe.to_dict(),
            )
        )


def _n_together(manifest: Manifest) -> int:
    """Count the groups and clusters of several pictures that lie in one part."""
    parts: dict[str, list[str | None]] = {}
    for each in manifest.examples:
        for kind, name in (("group", each.group), ("cluster", each.cluster)):
            if name:
                parts.setdefault(f"{kind}:{name}", []).append(each.split)
    return sum(len(found) > 1 and len(set(found)) == 1 for found in parts.values())
