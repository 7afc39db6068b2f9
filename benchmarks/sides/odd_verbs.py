"""Subject: one verb on a folder of strange files; what it says of each of them.

VERB FOLDER ROOM: check and train read a list with labels, which knows nothing of the files' kinds;
predict is given every file by name, and the model that train left in ROOM.
"""

import contextlib
import csv
import io
import json
import sys
from pathlib import Path

from fieldmark import cli

LAYERS = "INPUT 32x32x3 -> CONV 8 3x3 same -> RELU -> GAP -> FC"
ASIDE = {"exact-copy", "copy-across-parts", "label-conflict"}
"""Codes of files that were read, and then left out for what else was found."""

verb, folder, room = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
listed = room / "labels.csv"
with listed.open("w", encoding="utf-8", newline="") as file:
    rows = ((name, "one" if at % 2 else "other") for at, name in enumerate(files))
    csv.writer(file).writerows([("path", "label"), *rows])


def run(*words: str) -> tuple[int, str]:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        status = cli.run([*words])
    return status, said.getvalue()


found: dict[str, str] = {}
if verb == "check":
    words = ("check", str(folder), "--labels", str(listed), "--no-suspects", "--json")
    status, text = run(*words)
    found = {each["path"]: each["code"] for each in json.loads(text)["left_out"]}
    found = {name: found.get(name, "answered") for name in files}
elif verb == "train":
    options = ("--net", LAYERS, "--epochs", "1", "--lr", "0.01", "--name", "odd", "-q")
    status, _ = run(
        "train", str(folder), "--labels", str(listed), "-o", str(room / "runs"), *options
    )
    with (room / "runs" / "odd-1" / "data.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found[row["path"]] = "answered" if row["used"] == "1" else row["problem"]
else:
    model = str(room / "runs" / "odd-1" / "odd-1.fieldmark")
    status, text = run("predict", model, *(str(folder / name) for name in files), "--json", "-q")
    for line in text.splitlines():
        answer = json.loads(line)
        name = Path(answer["file"]).relative_to(folder).as_posix()
        found[name] = answer.get("error", {}).get("code") or answer.get("problem") or "answered"
told = {name: "answered" if code in ASIDE else code for name, code in found.items()}
print(json.dumps({"verb": verb, "status": status, "files": told}))
