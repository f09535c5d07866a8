"""Binary codes: the signs of a fixed rotation of a vector, 1536 bits, compared by Hamming distance.

The same vector must have the same code for ever and on every machine, because codes are stored. So nothing here
comes from a random number generator (SHAKE-256 of fixed labels instead), and the arithmetic is exact:

- A vector is scaled by a power of two so that its largest coordinate is below 2^30, and rounded to integers.
- Each round multiplies by a Kronecker product of two ±1 matrices, so a result is ± each of 1536 coordinates:
  after two rounds, and in every partial sum on the way, at most 2^30 × 1536² < 2^51.2 in absolute value.
- float64 holds every integer up to 2^53. No sum is ever rounded, so its order (BLAS, threads, FMA) cannot matter.

`docs/embedding.md` defines the function for other implementations. Whatever changes a code is a new version.
"""

from hashlib import shake_256

import numpy as np
from numpy.typing import NDArray

from ragstore.embedding.provider import DIMENSIONS

CODE_VERSION = 1
CODE_BYTES = DIMENSIONS // 8

ROWS, COLUMNS = 32, 48
SCALE_BITS = 30
BATCH = 64  # vectors rotated at once: 768 KB, which stays in the cache
# Columns of one product: BLAS starts threads for more than 2^18 multiplications, which here cost more than they give.
UNTHREADED = 2**18 // ROWS**2

Floats = NDArray[np.float64]


def kronecker(left: Floats, right: Floats) -> Floats:
    return np.kron(left, right).astype(np.float64)


def sylvester(order: int) -> Floats:
    matrix = np.ones((1, 1))
    while len(matrix) < order:
        matrix = kronecker(np.array([[1.0, 1.0], [1.0, -1.0]]), matrix)
    return matrix


def paley12() -> Floats:
    """The Hadamard matrix of order 12 from the squares modulo 11 (Paley's first construction)."""
    squares = {i * i % 11 for i in range(1, 11)}
    matrix: Floats = np.ones((12, 12))
    matrix[1:, 0] = -1
    for i in range(11):
        for j in range(11):
            matrix[i + 1, j + 1] = 1 if i == j or (i - j) % 11 in squares else -1
    return matrix


def draw_signs(label: str) -> Floats:
    bits = np.unpackbits(np.frombuffer(shake_256(label.encode()).digest(CODE_BYTES), dtype=np.uint8))
    return 1.0 - 2.0 * bits.astype(np.float64)


def draw_permutation(label: str) -> NDArray[np.intp]:
    keys = np.frombuffer(shake_256(label.encode()).digest(8 * DIMENSIONS), dtype=">u8")
    return np.argsort(keys, kind="stable")


LEFT = sylvester(ROWS)
RIGHT = kronecker(paley12(), sylvester(4))
RIGHT_TRANSPOSED = np.ascontiguousarray(RIGHT.T)
PERMUTATIONS = [draw_permutation(f"ragstore code {CODE_VERSION} permutation {n}") for n in (1, 2)]
SIGNS = [draw_signs(f"ragstore code {CODE_VERSION} signs {n}")[order] for n, order in enumerate(PERMUTATIONS, start=1)]


def encode(vectors: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Codes of shape (n, 192) for vectors of shape (n, 1536): Postgres' binary form of `bit(1536)`, without its length.

    Raises ValueError for another shape, NaN or infinity.
    """
    if vectors.ndim != 2 or vectors.shape[1] != DIMENSIONS:
        raise ValueError(f"codes need vectors of shape (n, {DIMENSIONS}), not {vectors.shape}")
    codes = np.empty((len(vectors), CODE_BYTES), dtype=np.uint8)
    for start in range(0, len(vectors), BATCH):
        rotated = rotate_columns(round_to_integers(vectors[start : start + BATCH]).T)
        codes[start : start + BATCH] = np.packbits(rotated > 0, axis=0).T
    return codes


def encode_one(vector: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The code of one vector of shape (1536,), shape (192,): the bits `encode` gives."""
    if vector.shape != (DIMENSIONS,):
        raise ValueError(f"a code needs a vector of shape ({DIMENSIONS},), not {vector.shape}")
    rotated = round_to_integers(vector[None, :])[0]
    for signs, order in zip(SIGNS, PERMUTATIONS, strict=True):
        rotated = (LEFT @ (rotated[order] * signs).reshape(ROWS, COLUMNS) @ RIGHT_TRANSPOSED).reshape(-1)
    return np.packbits(rotated > 0)


def round_to_integers(vectors: NDArray[np.float32]) -> Floats:
    largest = np.abs(vectors).max(axis=1).astype(np.float64)
    if not np.isfinite(largest).all():
        raise ValueError("a vector with NaN or infinity has no code")
    exponents = np.frexp(largest)[1]  # largest < 2^exponent
    rounded: Floats = vectors * np.ldexp(1.0, SCALE_BITS - exponents)[:, None]
    return np.rint(rounded, out=rounded)


def rotate_columns(columns: Floats) -> Floats:
    """Both rounds, unscaled (lengths grow 1536-fold), on vectors that stand as columns: shape (1536, n)."""
    count = columns.shape[1]
    for signs, order in zip(SIGNS, PERMUTATIONS, strict=True):
        mixed = columns.take(order, axis=0) * signs[:, None]
        mixed = multiply_left(mixed.reshape(ROWS, COLUMNS * count))
        columns = (RIGHT @ mixed.reshape(ROWS, COLUMNS, count)).reshape(DIMENSIONS, count)
    return columns


def multiply_left(columns: Floats) -> Floats:
    product = np.empty_like(columns)
    for start in range(0, columns.shape[1], UNTHREADED):
        part = slice(start, start + UNTHREADED)
        np.matmul(LEFT, columns[:, part], out=product[:, part])
    return product
