"""Write the hostile files that the tests make, with their codes."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.bundle.zoo import main

main(Path(sys.argv[1]))
