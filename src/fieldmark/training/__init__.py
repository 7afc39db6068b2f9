"""Training: the only room that fits a network.

``recipe`` (pure) decides, ``loop`` does, ``schedule`` and ``averaging`` are its arithmetic,
``events`` is what it says while it runs, ``fitted`` what goes in and what is left. ``backend``
prepares Keras and must come before anything that imports it. May import: data, networks and below.
"""
