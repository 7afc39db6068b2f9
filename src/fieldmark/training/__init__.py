"""Training: the only room that fits a network.

``recipe`` (pure) decides, ``loop`` does, ``schedule`` and ``averaging`` are its arithmetic,
``events`` is what it says while it runs, ``fitted`` what goes in and what is left. ``backend``
prepares Keras and must come before anything that imports it.

``features`` runs a pretrained backbone over a folder and ``head`` solves a classifier on what it
gives; neither needs Keras. ``rows``, ``design``, ``search``, ``logistic``, ``ridge`` and
``descent`` are the head's parts, in pure NumPy; ``activations`` feeds fine-tuning. May import:
data, networks, inference and below.
"""
