"""What is in the folder, and who may see it: scan, split, cache, batches.

Lives here: the path from a folder to batches of uint8 arrays. :mod:`~fieldmark.data.scan` and
:mod:`~fieldmark.data.cache` touch the disk; :mod:`~fieldmark.data.manifest`,
:mod:`~fieldmark.data.split` and :mod:`~fieldmark.data.batches` are pure. May import
:mod:`fieldmark.modalities` and what lies below; never Keras, a network or another room on this
floor.

To add a way in which folders are laid out: one function in ``scan.py`` (or a file beside
``listing.py``) that returns examples and what was left out; the checks after it are shared.
"""
