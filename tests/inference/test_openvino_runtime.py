"""OpenVINO is used without its habits: float32 stays float32, and no thread owns a core."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("openvino")

from fieldmark.inference.openvino_runtime import OpenVino


@pytest.mark.parametrize("bulk", [False, True])
def test_float32_is_asked_for_by_name_and_threads_are_not_pinned(tiny: Any, bulk: bool) -> None:
    """On a processor with bfloat16 the engine would choose that and answer otherwise."""
    opened = OpenVino(tiny.model().SerializeToString(), bulk=bulk, threads=1)
    properties = opened._compiled.get_property
    assert "float32" in str(properties("INFERENCE_PRECISION_HINT"))
    assert properties("ENABLE_CPU_PINNING") is False
    assert properties("INFERENCE_NUM_THREADS") == 1


def test_requests_are_used_again(tiny: Any) -> None:
    opened = OpenVino(tiny.model().SerializeToString(), bulk=True)
    for _ in range(5):
        list(opened.stream([tiny.pixels(1)] * 10))
    assert len(opened._idle) <= opened._n_ahead
