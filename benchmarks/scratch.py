"""The same minutes for two networks from scratch: `small`, and the tutorial's."""

from __future__ import annotations

from benchmarks.accuracy import check_same_test, percents, scored
from benchmarks.measure import Side, interleaved, script
from benchmarks.options import Options, Result, skipped
from benchmarks.pictures import shared_pictures
from benchmarks.summaries import spread, t_interval

# The tutorial's recipe ends after 25 epochs, long before the budget does; it shall use it all.
NO_LIMIT = 100_000


def run(options: Options) -> Result:
    if not options.data.is_dir():
        return skipped(options.data)
    budget_s = 60 * options.minutes
    with shared_pictures(options) as pictures:

        def side(name: str, *more: object) -> Side:
            given = ["--time", f"{budget_s:.0f}s", "--score", *more]
            return Side(
                name, lambda i: script("fieldmark_train", pictures.folder, "--seed", i, *given)
            )

        sides = [
            side("small", "--net", "small", "--recipe", "tuned"),
            side("tutorial", "--net", "tutorial", "--recipe", "article", "--epochs", NO_LIMIT),
        ]
        records = interleaved(sides, options.repeats)
    n_test = check_same_test(records)
    found = {name: [scored(each) for each in its] for name, its in records.items()}
    lines = [f"budget {budget_s:.0f} s, {n_test:,} test pictures, n = {options.repeats} seeds"]
    for name, its in records.items():
        epochs = spread([len(each["ends"]) for each in its])
        spent = spread([each["run_s"] for each in its])
        accuracy = spread(percents(found[name]), 1)
        lines.append(f"{name}: {accuracy} %, {epochs} epochs, {spent} s from folder to run")
    pairs = zip(found["small"], found["tutorial"], strict=True)
    mean, low, high = t_interval([100 * (small - tutorial) for small, tutorial in pairs])
    lines.append(
        f"small - tutorial: {mean:+.1f} points [{low:+.1f}, {high:+.1f}] "
        "(95 % t interval, paired by seed)"
    )
    return Result(lines, records | {"test_accuracy": found})
