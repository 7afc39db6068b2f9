from __future__ import annotations

import pytest

from fieldmark.bundle.refusal import refuse
from fieldmark.errors import BundleError


@pytest.mark.parametrize("code", ["model-damaged", "model-newer", "model-unsafe"])
def test_every_refusal_says_why_and_what_to_do(code):
    with pytest.raises(BundleError, match=r"^It is so\. \[") as caught:
        refuse(code, "It is so.")
    error = caught.value
    assert (error.code, error.exit_status) == (code, 6)
    assert error.why.endswith(".")
    assert error.hint


def test_a_refusal_keeps_its_cause():
    cause = ValueError("deep down")
    with pytest.raises(BundleError, match="It is so") as caught:
        refuse("model-damaged", "It is so.", cause=cause)
    assert caught.value.__cause__ is cause
