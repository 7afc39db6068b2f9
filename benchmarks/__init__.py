"""Measurements of fieldmark beside its peers; ``python -m benchmarks --help``.

The runner imports the standard library only: each side is a fresh process, and a child's peak
memory is never less than that of the process it was started from.
"""
