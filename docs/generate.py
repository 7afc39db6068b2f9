"""Write ``docs/commands.md`` from the command line itself: ``python docs/generate.py [--check]``.

Read off the verbs' functions and not off their printed help, which looks different with every
version of Typer. With ``--check`` nothing is written; the exit status is 1 if the page is stale.
"""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from typer.models import ArgumentInfo, OptionInfo

from fieldmark.cli import VERBS
from fieldmark.cli import __doc__ as CLI

PAGE = Path(__file__).resolve().parent / "commands.md"

_HEAD = """\
# Commands

Written by `python docs/generate.py`; do not edit.

Results go to stdout, everything else to stderr. `--json` prints JSON and nothing else on stdout:
`train` and `demo` an object for each event, `predict` for each file and `runs` for each run, all as
JSON Lines; every other verb one object. Input that is refused adds `{{"error": ...}}`. `-q` keeps
results and errors. Colours and moving bars appear on a terminal only, and never with
`--no-color`, `NO_COLOR` or `TERM=dumb`. `--debug` shows where an error came from. Nothing is
overwritten.

{statuses}
"""


def page() -> str:
    """Return the page's text."""
    contract = (CLI or "").partition("Exit status:")[2]
    statuses = textwrap.fill(f"Exit status: {' '.join(contract.split())}", 100)
    parts = [_HEAD.format(statuses=statuses)]
    parts += [_section(name, verb) for name, verb in VERBS.items()]
    return "\n".join(parts)


def _section(name: str, verb: Callable[..., Any]) -> str:
    text, _, example = (inspect.getdoc(verb) or "").partition("Example:")
    paragraphs = [" ".join(part.split()) for part in text.strip().split("\n\n")]
    rows = _parameters(verb)
    usage = " ".join(["fieldmark", name, *(row[0] for row in rows if row[3])])
    lines = [f"## fieldmark {name}", "", "\n\n".join(paragraphs), "", "```"]
    lines += [f"{usage} [options]", "", f"# for example\n{example.strip()}", "```", ""]
    lines += ["| argument or option | default | meaning |", "|---|---|---|"]
    lines += [f"| `{_cell(row[0])}` | {row[1]} | {_cell(row[2])} |" for row in rows]
    return "\n".join([*lines, ""])


def _parameters(verb: Callable[..., Any]) -> list[tuple[str, str, str, bool]]:
    """Return (spelling, default, help, is an argument) of each parameter."""
    hints = get_type_hints(verb, include_extras=True)
    return [
        _parameter(parameter, hints[parameter.name])
        for parameter in inspect.signature(verb).parameters.values()
    ]


def _parameter(parameter: inspect.Parameter, hint: Any) -> tuple[str, str, str, bool]:
    kind, info = get_args(hint) if get_origin(hint) is Annotated else (hint, None)
    default = parameter.default
    if isinstance(info, ArgumentInfo):
        many = "..." if get_origin(kind) is list else ""
        name = parameter.name.upper() + many
        spelled = name if default is parameter.empty else f"[{name}]"
        return spelled, _shown(default), info.help or "", True
    if not isinstance(info, OptionInfo):
        raise TypeError(f"{parameter.name} has no help")
    # Inside Annotated, Typer keeps the first spelling where a default would stand.
    given = [each for each in (info.default, *(info.param_decls or ())) if isinstance(each, str)]
    spellings = sorted(given or [f"--{parameter.name.replace('_', '-')}"], key=len)
    if kind is bool and not given:
        spellings.append(f"--no-{parameter.name}")
    spelled = ", ".join(spellings)
    value = "" if kind is bool else f" {info.metavar or _metavar(kind)}"
    return spelled + value, _shown(default), info.help or "", False


def _metavar(kind: Any) -> str:
    kinds = [each for each in get_args(kind) or (kind,) if each is not type(None)]
    return {int: "N", float: "NUMBER"}.get(kinds[0], "TEXT")


def _shown(default: Any) -> str:
    if default is inspect.Parameter.empty:
        return "required"
    return "" if default in ("", None, False) else "on" if default is True else f"`{default}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main(arguments: list[str]) -> int:
    """Write the page, or say whether it is fresh."""
    made = page()
    if "--check" in arguments:
        fresh = PAGE.is_file() and PAGE.read_text(encoding="utf-8") == made
        if not fresh:
            sys.stderr.write("docs/commands.md is stale: python docs/generate.py\n")
        return 0 if fresh else 1
    PAGE.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
