"""Write the golden model card, data sheet and methods paragraphs; look at the difference after.

``python -m tests.golden.make_papers``
"""

from __future__ import annotations

from pathlib import Path

from fieldmark.evaluation.data_sheet import data_sheet
from fieldmark.evaluation.methods import methods
from fieldmark.evaluation.model_card import model_card
from tests.evaluation import made_up

FOLDER = Path(__file__).parent / "papers"


def texts() -> dict[str, str]:
    """Return each golden file by its name."""
    found = {
        "MODEL_CARD.md": model_card(made_up.facts()),
        "DATA_SHEET.md": data_sheet(made_up.data()),
    }
    return found | {f"METHODS_{way}.md": methods(made_up.facts(way)) for way in made_up.WAYS}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in texts().items():
        (FOLDER / name).write_text(text, encoding="utf-8", newline="\n")
