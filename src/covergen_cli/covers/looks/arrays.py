"""The type of pixels and fields."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
"""Numbers, float32 where no docstring says otherwise: NumPy's types cannot tell float32 from float64 in formulas."""
