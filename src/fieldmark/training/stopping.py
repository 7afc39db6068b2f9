"""Why a training ends before its last epoch, and in which words. Pure."""

from __future__ import annotations

from fieldmark.errors import OutOfMemory, TrainingDiverged


def early(
    epoch: int, *, requested: bool, waited: int, patience: int, used_up: bool
) -> tuple[str, str] | None:
    """Return (reason, text) if training stops after this epoch.

    Examples
    --------
    >>> early(4, requested=False, waited=3, patience=3, used_up=False)
    ('patience', 'Stopped after epoch 4: validation loss has not improved for 3 epochs.')
    >>> early(4, requested=False, waited=3, patience=0, used_up=False) is None
    True
    """
    if requested:
        return "interrupted", f"Stopped on request after epoch {epoch}."
    if patience and waited >= patience:
        why = f"validation loss has not improved for {waited} epochs"
        return "patience", f"Stopped after epoch {epoch}: {why}."
    if used_up:
        return "time", f"Stopped after epoch {epoch}: the time is used up."
    return None


def diverged(epoch: int, step: int, rate: float, best_epoch: int) -> str:
    """Say that the loss became infinite, and what is kept.

    Raises
    ------
    TrainingDiverged
        Code ``diverged``: no epoch was finished before.
    """
    if not best_epoch:
        raise TrainingDiverged(
            f"The loss became infinite or not a number in epoch {epoch}.",
            code="diverged",
            where=f"step {step}, learning rate {rate:.2g}",
            why="No epoch was finished, so there are no good weights to keep.",
            hint=f"--lr {rate / 10:.2g}",
        )
    return (
        f"Stopped in epoch {epoch}: the loss became infinite or not a number (learning rate "
        f"{rate:.2g}). The weights of epoch {best_epoch} are kept. "
        f"Next: --lr {rate / 10:.2g}."
    )


def out_of_memory(batch: int, said: str) -> OutOfMemory:
    """Return the error of a step that needed more memory than there is."""
    smaller = f"--batch {batch // 2}, " if batch > 1 else ""
    return OutOfMemory(
        f"There is not enough memory for a step of {batch} pictures.",
        code="out-of-memory",
        where=f"batch {batch}",
        why=said[:200],
        hint=f"{smaller}a smaller --size, or a smaller network",
    )
