"""``fieldmark runs``."""

from __future__ import annotations

import json
from pathlib import Path

from fieldmark.cli.options import JsonLines, RunsFolder
from fieldmark.cli.screen import screen


def runs(folder: RunsFolder = "runs", json_: JsonLines = False) -> None:
    """List the runs, oldest first, with what each measured.

    Example: fieldmark runs
    """
    from fieldmark import runs as folders
    from fieldmark.workflow.continuing import repeating

    out = screen().settle(as_json=json_)
    listed = folders.listed(Path(folder))
    widest = max((len(run.name) for run in listed), default=0)
    for run in listed:
        accuracy = _accuracy(run.path)
        if json_:
            facts = {"run": run.name, "folder": str(run.path), "finished": run.finished}
            out.json(facts | {"accuracy": accuracy})
        elif run.finished and accuracy:
            low, high = 100 * accuracy["low"], 100 * accuracy["high"]
            interval = f"({low:.1f} to {high:.1f}, {accuracy['n']:,} pictures)"
            more = "  further trainings unfinished" if repeating(run) else ""
            out.result(f"{run.name:<{widest}}  {100 * accuracy['value']:5.1f} %  {interval}{more}")
        else:
            out.result(f"{run.name:<{widest}}  unfinished")
    if not listed:
        out.say(f"No runs in {folder}.")
        out.next("fieldmark train FOLDER")


def _accuracy(run: Path) -> dict[str, float] | None:
    try:
        found = json.loads((run / "metrics.json").read_text(encoding="utf-8"))["accuracy"]
    except (OSError, ValueError, KeyError):
        return None
    return {key: found[key] for key in ("value", "low", "high", "n")}
