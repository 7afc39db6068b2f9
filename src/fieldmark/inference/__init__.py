"""A model file answering: what a server installs, and nothing of what trains.

``runtime``
    :class:`~fieldmark.inference.runtime.Runtime`, and ONNX Runtime behind it; the only door to it.
``prediction``
    The answer: :class:`~fieldmark.inference.prediction.Prediction`, or why there is none.
``predictor``
    From a file's bytes to the answer.

It may import ``bundle``, ``modalities`` and what lies below. It never imports ``data``,
``networks``, ``training``, Keras or ``onnx``: a picture is answered within half a second of
starting the process.

To add a runtime, write one class in ``runtime.py`` with the two methods of ``Runtime`` and let
``open_runtime`` choose it; the golden files must answer alike through all of them.
"""
