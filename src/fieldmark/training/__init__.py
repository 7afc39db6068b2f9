"""Training: the only room that fits a network.

``recipe`` (pure) decides, ``loop`` does, ``schedule`` and ``averaging`` are its arithmetic,
``events`` is what it says while it runs. ``backend`` prepares Keras and must come before anything
that imports it. ``head`` solves a classifier on frozen features and needs none of that: ``rows``,
``design``, ``search``, ``logistic``, ``ridge`` and ``descent`` are its parts, in pure NumPy. May
import: data, networks and below.
"""
