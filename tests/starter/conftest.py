"""What the tests of the starter share."""

from contextlib import nullcontext

import pytest
import torch


@pytest.fixture
def full_precision(monkeypatch):
    """No bfloat16 arithmetic, which is several times slower on processors that have no instructions for it."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
