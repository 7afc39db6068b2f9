"""How long a cold process takes to be useful: import, help, and one picture's answer."""

from __future__ import annotations

from benchmarks.measure import Side, interleaved, measured, script
from benchmarks.options import Options, Result, skipped
from benchmarks.pictures import one_picture, shared_pictures
from benchmarks.summaries import spread, table, target


def run(options: Options) -> Result:
    if not options.data.is_dir():
        return skipped(options.data)
    with shared_pictures(options) as pictures:
        model, picture = pictures.room / "model.fieldmark", one_picture(pictures.folder)
        # One epoch of the tutorial's network: 16 MB of weights to read, more than `small` has.
        measured(script("fieldmark_train", pictures.folder, "--epochs", 1, "--keep", model))
        commands = {
            "python alone": ["-c", "pass"],
            "import fieldmark": script("import_fieldmark"),
            "fieldmark --help": ["-m", "fieldmark", "--help"],
            "fieldmark predict": ["-m", "fieldmark", "predict", str(model), str(picture)],
        }
        sides = [
            Side(name, lambda _, command=command: command) for name, command in commands.items()
        ]
        interleaved(sides, 1)  # fills the page cache and compiles bytecode; thrown away
        records = interleaved(sides, options.repeats)
    rows = [
        [name, spread([each["wall_s"] for each in its], 3), spread([e["peak_rss_mb"] for e in its])]
        for name, its in records.items()
    ]
    imports = [each["import_ms"] for each in records["import fieldmark"]]
    lines = [
        f"n = {options.repeats}; median (min-max)",
        *table(["process", "wall, s", "memory, MB"], rows),
        f"the import statement alone: {spread(imports, 1)} ms",
        "",
        target("import fieldmark, ms", imports, 50, at_least=False),
    ]
    for name, wanted in (("fieldmark --help", 0.4), ("fieldmark predict", 0.6)):
        walls = [each["wall_s"] for each in records[name]]
        lines.append(target(f"{name}, s", walls, wanted, at_least=False))
    return Result(lines, dict(records))
