"""The version of fieldmark, written once; ``pyproject.toml`` holds the same text (a test compares them)."""

__version__ = "0.1.0"
