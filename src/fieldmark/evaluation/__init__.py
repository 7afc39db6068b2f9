"""How good, how sure, and compared with what.

Lives here: metrics over scores and labels, their intervals, the ``report.Report`` that holds them,
and the faces of a report: text lines, pictures, one HTML page.

May import: NumPy, ``fieldmark.modalities`` and the floors below. Matplotlib and Jinja2 are imported
inside the functions of ``charts`` and ``page`` only, so that measuring costs neither. Nothing here
reads a folder, opens a network or draws on a screen.

To add a metric: write one function ``(probs, labels) -> float`` in ``metrics.py``, add it to
``METRICS`` there, and hold it against scikit-learn in ``tests/evaluation/test_scikit_learn.py``. To
show it, give it an interval in ``measures.py`` and ``Report`` one more ``Measurement``: a bare
float has no place in a report.
"""
