"""The part of a check that needs a network or a small model: wrong labels, shortcuts, leak tax."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass, field
from typing import Final

from fieldmark.config import Settings
from fieldmark.data.findings import Finding
from fieldmark.training.events import Listener, silent
from fieldmark.workflow.auditing import Audited
from fieldmark.workflow.leaking import LeakTax, leak_tax
from fieldmark.workflow.suspecting import Shortcut, looked, shortcuts, suspected

MANY: Final = 10_000
"""Pictures above which this is done only when asked for: the features take minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deeper:
    """What was found."""

    findings: tuple[Finding, ...] = ()
    ranking: tuple[tuple[str, float], ...] = ()
    """Path and probability that its label is wrong, the most suspicious first: a tenth of all."""
    shortcuts: tuple[Shortcut, ...] = ()
    """One per fact, warned of or not, most telling first."""
    tax: LeakTax | None = None
    """None: nothing could be measured."""
    notes: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)


def deeper(
    result: Audited, settings: Settings, *, threads: int, listen: Listener = silent
) -> Deeper:
    """Look for wrong labels and shortcuts, and measure what leaks would have added.

    Parameters
    ----------
    result : Audited
    settings : Settings
        ``audit.suspects`` decides whether; the others as ``train`` would get them.
    threads : int
    listen : callable
        Gets progress of the stage ``features``.

    Returns
    -------
    Deeper
        Empty, with a note, where it was not asked for or nothing can be told apart.
    """
    used, wanted = result.audit.manifest, settings.audit.suspects
    n = len(result.audit.seen.examples)
    if wanted == "no":
        return Deeper()
    if wanted == "auto" and n > MANY:
        return Deeper(
            notes=(f"Wrong labels and shortcuts were not looked for: {n:,} pictures; --suspects.",)
        )
    if len({each.label for each in used.examples}) < 2:
        return Deeper()
    facts = shortcuts(used, result.seen.looks)
    began = time.monotonic()
    features = looked(result.audit.seen, threads=threads, settings=settings, listen=listen)
    seconds = {"features": time.monotonic() - began}
    found = suspected(features, used)
    seconds["suspects"] = found.seconds
    tax = None
    if features is not None:
        tax = leak_tax(features)
        seconds["leak tax"] = tax.seconds
    warned = [each.finding(used.classes) for each in facts if each.warns]
    ranked = zip(found.ranked, found.p_wrong, strict=True)
    ranking = [(each.path, p) for each, p in ranked]
    return Deeper(
        findings=(*found.findings, *warned),
        ranking=tuple(ranking[: -(-len(ranking) // 10)]),
        shortcuts=facts,
        tax=tax,
        notes=found.notes,
        seconds=seconds,
    )


def tax_to_dict(tax: LeakTax | None) -> dict[str, object] | None:
    """Return a leak tax as plain JSON values; NaN, for what cannot be measured, as None."""
    if tax is None:
        return None
    values = dataclasses.asdict(tax)
    return {name: None if value != value else value for name, value in values.items()}
