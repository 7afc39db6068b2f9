"""A model file answering: what a server installs, and nothing of what trains.

``runtime``
    :class:`~fieldmark.inference.runtime.Runtime`, what every engine promises, and the choice.
``onnx_runtime``, ``openvino_runtime``
    The engines, each the only door to what it is called after.
``prediction``
    The answer: :class:`~fieldmark.inference.prediction.Prediction`, or why there is none.
``files``
    The bytes of a file that somebody named.
``predictor``
    From a file's bytes to the answer.

It may import ``bundle``, ``modalities`` and what lies below. It never imports ``data``,
``networks``, ``training``, Keras or ``onnx``: a picture is answered within half a second of
starting the process.

To add an engine, write one class in a file of its own with the methods of ``Runtime`` and let
``open_runtime`` choose it; ``tests/contracts/test_engines.py`` and the golden files hold all of
them to the same answers.
"""
