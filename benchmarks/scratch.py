"""The same minutes for `small`, the tutorial's network, and the network of Keras' example."""

from __future__ import annotations

from benchmarks.accuracy import check_same_test, percents, scored, wrong
from benchmarks.measure import Side, interleaved, script
from benchmarks.options import Options, Record, Result, skipped
from benchmarks.pictures import shared_pictures
from benchmarks.summaries import error_ratio, spread, t_interval, wilson

# The tutorial's recipe ends after 25 epochs, long before the budget does; it shall use it all.
NO_LIMIT = 100_000
OURS, PEERS = "small", ("tutorial", "keras_example")


def run(options: Options) -> Result:
    if not options.data.is_dir():
        return skipped(options.data)
    budget_s = 60 * options.minutes
    with shared_pictures(options) as pictures:
        given = ["--time", f"{budget_s:.0f}s", "--cold", "--score"]

        def side(name: str, *more: object) -> Side:
            start = ["fieldmark_train", pictures.folder, "--net", name, *given, *more]
            return Side(name, lambda i: script(*start, "--seed", i))

        def example(seed: int) -> list[str]:
            asked = ["--seconds", budget_s, "--seed", seed]
            return script("keras_xception", pictures.parts(seed), *asked)

        sides = [
            side("small", "--recipe", "tuned"),
            side("tutorial", "--recipe", "article", "--epochs", NO_LIMIT),
            Side("keras_example", example),
        ]
        records = interleaved(sides, options.repeats)
    n_test = check_same_test(records)
    lines = [f"budget {budget_s:.0f} s, {n_test:,} test pictures, n = {options.repeats} seeds"]
    lines += [line for name, its in records.items() for line in _side_lines(name, its)]
    for peer in PEERS:
        lines += _comparison(peer, records[peer], records[OURS])
    found = {name: [scored(each) for each in its] for name, its in records.items()}
    return Result(lines, records | {"test_accuracy": found})


def _side_lines(name: str, its: list[Record]) -> list[str]:
    accuracies = [scored(each) for each in its]
    n = sum(len(each["probs"]) for each in its)
    low, high = wilson(round(sum(accuracies) * n / len(its)), n)
    epochs, spent = (
        spread(values) for values in ([len(r["ends"]) for r in its], [r["run_s"] for r in its])
    )
    interval = f"{100 * low:.1f}-{100 * high:.1f} over {n:,} answers"
    return [
        f"{name}: {spread(percents(accuracies), 1)} % [{interval}], {epochs} epochs, {spent} s "
        "from the start to the end"
    ]


def _comparison(peer: str, theirs: list[Record], ours: list[Record]) -> list[str]:
    pairs = zip(ours, theirs, strict=True)
    mean, low, high = t_interval([100 * (scored(a) - scored(b)) for a, b in pairs])
    ratio, least, most = error_ratio([wrong(each) for each in theirs], [wrong(r) for r in ours])
    return [
        f"{OURS} - {peer}: {mean:+.1f} points [{low:+.1f}, {high:+.1f}] "
        "(95 % t interval, paired by seed)",
        f"errors of {peer} / errors of {OURS}: {ratio:.2f} [{least:.2f}, {most:.2f}] "
        "(95 % bootstrap over the test pictures, paired)",
    ]
