"""The version of fieldmark; ``pyproject.toml`` holds the same text, and a test compares them."""

__version__ = "0.1.0"
