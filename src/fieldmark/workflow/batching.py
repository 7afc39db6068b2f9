"""How many pictures at a time: what is asked, what memory allows, what an earlier process found.

The batch that is taken is written beside the checkpoints before the first step, so that a training
that is continued takes the same one and ends with the same bytes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fieldmark.data.batches import Batches
from fieldmark.errors import OutOfMemory
from fieldmark.networks.volumes import Plan
from fieldmark.training import footprint
from fieldmark.training.checkpoint import Checkpoints
from fieldmark.training.events import Noted
from fieldmark.training.recipe import Recipe
from fieldmark.workflow import continuing, memory
from fieldmark.workflow.session import Session

RAM: Final = "[run] ram"
"""Where an error says that more memory is wanted than may be taken; a step had enough."""
LEAST: Final = 4
"""The smallest batch that is taken unasked: with fewer pictures a step says little."""
LEAST_JUDGED: Final = 16


@dataclass(frozen=True, slots=True)
class Given:
    """A training: its parts in batches, and how it is done."""

    train: Batches
    valid: Batches
    recipe: Recipe

    def smaller(self, batch: int, judged: int, *, steps: bool) -> Given:
        """Return the same with smaller batches.

        Parameters
        ----------
        batch, judged : int
            Pictures per step, and per validation batch.
        steps : bool
            Whether an epoch's number of steps was counted from the batch, and so grows.
        """
        recipe = dataclasses.replace(self.recipe, batch=batch)
        if steps and recipe.steps_per_epoch:
            pictures = recipe.steps_per_epoch * self.recipe.batch
            recipe = dataclasses.replace(recipe, steps_per_epoch=-(-pictures // batch))
        return Given(
            dataclasses.replace(self.train, batch_size=batch),
            dataclasses.replace(self.valid, batch_size=judged),
            recipe,
        )


class Batching:
    """The batches of one training of a run; final."""

    def __init__(self, session: Session, plan: Plan, what: str) -> None:
        self._session, self._plan = session, plan
        self._what = what
        self._folder: Path | None = None
        self.halved = False
        """Whether a step ran out of memory, in this process or in an earlier one."""
        if session.held is not None:
            self._folder = session.held.folder.path / continuing.FOLDER

    @property
    def _counted(self) -> bool:
        """Whether nobody asked for a number of steps in an epoch."""
        return not self._session.settings.train.steps_per_epoch

    def fitting(self, given: Given) -> Given:
        """Return batches for which there is memory: those of an earlier process, if there were.

        Raises
        ------
        OutOfMemory
            Code ``out-of-memory``: not even small ones fit into ``--ram``.
        """
        kept = self._kept()
        if kept:
            self.halved = kept["halved"]
            return given.smaller(kept["batch"], kept["judged"], steps=self._counted)
        limit = memory.limit(self._session.settings.run.ram)
        if limit is None or not limit.hard:
            self._keep(given.recipe.batch, given.valid.batch_size)
            return given
        room = limit.n_bytes - memory.resident()
        batch, judged = given.recipe.batch, given.valid.batch_size
        while self._needed(batch, judged) > room and judged > LEAST_JUDGED:
            judged //= 2
        if self._session.settings.train.batch == "auto":
            while self._needed(batch, judged) > room and batch > LEAST:
                batch //= 2
        short = self._needed(batch, judged) > room
        if short and limit.what.startswith("--ram"):
            raise self._too_much(batch, limit, room)
        self._keep(batch, judged)
        if (batch, judged) == (given.recipe.batch, given.valid.batch_size):
            return given
        text = f"{batch} pictures a step and {judged} at a time in validation, because "
        self._session.listen(Noted(code="batch-chosen", text=f"{text}{limit.what} leaves little."))
        return given.smaller(batch, judged, steps=self._counted)

    def after(self, error: OutOfMemory, given: Given, kept: Checkpoints | None = None) -> Given:
        """Halve the batches once, begin again, and say so.

        Raises
        ------
        OutOfMemory
            Code ``out-of-memory``: states are kept or epochs done, it was done before, one picture
            is too many, or no step failed:
            the training as a whole would take more than ``--ram``.
        """
        batch, judged = given.recipe.batch, given.valid.batch_size
        if error.where == RAM:
            raise error
        if (kept and kept.good()) or error.late:  # what was done is worth more than going on now
            if kept and kept.good():
                error.hint = "with more memory free, the same command goes on from the kept state"
            raise error
        if self.halved or batch < 2:
            limit = memory.limit(self._session.settings.run.ram)
            room = limit.n_bytes - memory.resident() if limit else 0
            fits = min(footprint.fitting_batch(self._plan, room), batch // 2)
            if fits:
                error.hint = f"--batch {fits}, a smaller --size, or a smaller network"
            raise error
        self.halved = True
        if self._folder is not None:  # states of the larger batch: before the smaller one is kept
            for path in self._folder.glob(f"{self._what}-*.safetensors"):
                path.unlink(missing_ok=True)
        smaller = (batch // 2, max(judged // 2, 1))
        self._keep(*smaller)
        text = f"Memory ran out at {batch} pictures a step: it begins again with {batch // 2}."
        self._session.listen(Noted(code="batch-halved", text=text))
        return given.smaller(*smaller, steps=self._counted)

    def _needed(self, batch: int, judged: int) -> int:
        return footprint.training_bytes(self._plan, batch, judged)

    def _too_much(self, batch: int, limit: memory.Limit, room: int) -> OutOfMemory:
        fits = footprint.fitting_batch(self._plan, room)
        least = self._needed(1, 1) + memory.resident()
        return OutOfMemory(
            f"A training with {batch} pictures a step does not fit into {limit.what}.",
            code="out-of-memory",
            where=RAM,
            why=f"About {(self._needed(batch, LEAST_JUDGED) + memory.resident()) / 1e9:.1f} GB are "
            "needed, the training framework and the report included.",
            hint=f"--batch {fits}" if fits else f"--ram {-(-least // 10**8) / 10:.1f}GB, or more",
        )

    def _kept(self) -> dict[str, Any]:
        if self._path is None:
            return {}
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            found = json.loads(self._path.read_bytes())
            return {
                "batch": int(found["batch"]),
                "judged": int(found["judged"]),
                "halved": bool(found["halved"]),
            }
        return {}

    def _keep(self, batch: int, judged: int) -> None:
        if self._session.held is not None:
            value = {"batch": batch, "judged": judged, "halved": self.halved}
            self._session.held.folder.write_json(f"{continuing.FOLDER}/{self._what}.json", value)

    @property
    def _path(self) -> Path | None:
        return None if self._folder is None else self._folder / f"{self._what}.json"
