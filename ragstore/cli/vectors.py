"""Vectors on their way to the service."""

import base64

import numpy as np
from numpy.typing import NDArray

MOST_NUMBERS = 1536  # of a vector that fits into a column; fewer are filled up with zeros


def encode_vector(vector: NDArray[np.float32]) -> str:
    """Little-endian float32, as the API reads it: exact, and a third of what the numbers would take."""
    return base64.b64encode(np.asarray(vector, dtype="<f4").tobytes()).decode()
