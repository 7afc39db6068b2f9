"""The data sheet of a run: what the pictures are, as far as a program can see. Pure.

After Gebru et al., "Datasheets for Datasets", Communications of the ACM 2021 (arXiv:1803.09010):
what the run knows is filled in, the questions that only a person can answer are listed.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from fieldmark.evaluation.card_facts import DataFacts, Together, Unused
from fieldmark.evaluation.markdown import code, left_open, plain, table
from fieldmark.evaluation.wording import counted
from fieldmark.modalities.shapes import Shapes, Span

PARTS: Final = ("train", "valid", "test")
_FIRST: Final = 5
"""Files shown per reason."""
_LAYOUTS: Final = {
    "folders": "the name of the folder a picture lies in",
    "parts": "the name of the folder a picture lies in, inside of ready-made parts",
    "csv": "a list of files with their labels",
    "name": "a part of the file name",
}
LEFT_OUT_BY_LIST: Final = "left-out-by-list"


def data_sheet(data: DataFacts) -> str:
    """Write the sheet.

    Parameters
    ----------
    data : DataFacts
        Names in it may hold anything.

    Returns
    -------
    str
        Markdown; the same facts give the same text.
    """
    sections = [
        [f"# Data sheet of {plain(data.name)}"],
        _motivation(),
        _composition(data),
        _pictures(data.shapes),
        _together(data),
        _parts(data),
        _labels(data),
        _unused(data.unused),
        _collection(),
        _rest(),
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def _motivation() -> list[str]:
    return [
        "## Motivation",
        "",
        left_open("For what purpose were these pictures collected?"),
        left_open("Who collected them, and who paid for it?"),
    ]


def _composition(data: DataFacts) -> list[str]:
    rows = [
        [plain(name), *(f"{parts[part]:,}" for part in PARTS), f"{sum(parts.values()):,}"]
        for name, parts in data.counts.items()
    ]
    rows.append(["all", *(f"{data.n(part):,}" for part in PARTS), f"{data.n():,}"])
    found = data.n() + len(data.unused)
    return [
        "## Composition",
        "",
        f"{counted(found, 'file')} found: {data.n():,} used, {len(data.unused):,} left out. Each "
        "used file is one picture with one label.",
        "",
        *table(["class", "training", "validation", "test", "all"], rows),
        "",
        "Whoever has the same pictures has the same number (SHA-256 over the sorted SHA-256 of all "
        "files, one a line):",
        "",
        f"- pictures: {code(data.same_pictures)}",
        f"- pictures, parts and labels: {code(data.same_parts)}",
        "",
        left_open("Do the pictures show people, or anything confidential or offensive?"),
        left_open("What are the pictures a sample of, and what is missing in it?"),
    ]


def _pictures(shapes: Shapes | None) -> list[str]:
    heading = ["## Sizes and formats", ""]
    if shapes is None:
        return [*heading, "The pictures were not looked at in this run: `fieldmark check` does."]
    rows = [
        ["width in pixels", *_span(shapes.width)],
        ["height in pixels", *_span(shapes.height)],
        ["file size in bytes", *_span(shapes.size)],
    ]
    formats = ", ".join(f"{n:,} {plain(name)}" for name, n in shapes.formats.items())
    sizes = "all of one size" if shapes.n_sizes == 1 else f"{shapes.n_sizes:,} different sizes"
    return [
        *heading,
        f"{formats}; {sizes}.",
        "",
        *table([f"of {counted(shapes.n)}", "smallest", "median", "largest"], rows),
    ]


def _span(span: Span) -> list[str]:
    return [f"{each:,}" for each in (span.low, span.median, span.high)]


def _together(data: DataFacts) -> list[str]:
    said = f" (from {code(data.groups_from)})" if data.groups_from else ""
    looked = (
        f"- Near copies and frames of one burst, found by comparing all pictures: "
        f"{_sets(data.copies)}."
        if data.audited
        else "- Near copies were not looked for."
    )
    return [
        "## What belongs together",
        "",
        f"- Groups named by a person{said}: {_sets(data.groups)}.",
        looked,
        "- Byte for byte equal files count as belonging together too.",
        "",
        "All of a set is in one part, unless a note under the next heading says otherwise.",
    ]


def _sets(found: Together) -> str:
    if not found.n_sets:
        return "none"
    return f"{counted(found.n_sets, 'set')} with {counted(found.n_pictures)}"


def _parts(data: DataFacts) -> list[str]:
    valid, test = data.shares
    rule = (
        f"The parts are those of the saved split {code(data.split_file)}; files that were not in "
        "it were drawn:"
        if data.split_file
        else "Parts that the folder or the list already named were kept; the others were drawn:"
    )
    return [
        "## How the parts were made",
        "",
        f"{rule} class by class, whole sets, ordered by a hash of their content and the seed "
        f"{data.split_seed}; shares {1 - valid - test:.2f} training, {valid:.2f} validation, "
        f"{test:.2f} test. `split.csv` in the run folder says it file by file.",
        *(["", *(f"- {plain(note)}" for note in data.notes)] if data.notes else []),
    ]


def _labels(data: DataFacts) -> list[str]:
    by_list = sum(each.code == LEFT_OUT_BY_LIST for each in data.unused)
    fixed = (
        f"The fix list {code(data.fix_list)} was obeyed; it left out {counted(by_list, 'file')}."
        if data.fix_list
        else "No fix list was given."
    )
    clean = (
        "Pictures with two labels, all but one of equal files, and training pictures that lie in a "
        "ready-made test part too were left out."
        if data.cleaned
        else "Pictures with two labels, equal files and leaks were not left out."
    )
    return [
        "## Labels and cleaning",
        "",
        f"A label is {_LAYOUTS.get(data.layout, plain(data.layout))}. {fixed} {clean} Which labels "
        "are probably wrong is what `fieldmark check` lists; a training does not look.",
        "",
        left_open("Who gave the labels, by which rule, and how well do two people agree?"),
    ]


def _unused(unused: tuple[Unused, ...]) -> list[str]:
    if not unused:
        return ["## What was left out", "", "Nothing."]
    counts = Counter(each.code for each in unused)
    rows = []
    for reason, n in sorted(counts.items(), key=lambda one: (-one[1], one[0])):
        first = [plain(each.path) for each in unused if each.code == reason]
        more = f" and {n - _FIRST:,} more" if n > _FIRST else ""
        rows.append([reason, f"{n:,}", ", ".join(first[:_FIRST]) + more])
    return [
        "## What was left out",
        "",
        *table(["reason", "files", "which"], rows),
        "",
        "`data.csv` in the run folder has every file, `docs/errors.md` what each reason means.",
    ]


def _collection() -> list[str]:
    return [
        "## Collection",
        "",
        left_open("How, where and when were the pictures taken, and with what?"),
        left_open("Did the people in them, or their owners, agree? How can they take that back?"),
        left_open("Was there an ethical review?"),
    ]


def _rest() -> list[str]:
    return [
        "## Uses, distribution and maintenance",
        "",
        left_open("What else may the pictures be used for, and for what not?"),
        left_open("Under which licence, and for whom, are the pictures available?"),
        left_open("Who keeps them, corrects mistakes and answers questions?"),
    ]
