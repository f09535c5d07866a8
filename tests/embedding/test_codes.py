from hashlib import sha256, shake_256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ragstore.embedding import codes
from tests.fake_openai import fake_vector

Vectors = NDArray[np.float32]

# These never change for CODE_VERSION 1: stored codes would stop matching.
GOLDEN_DENSE = "45592e247ca57e8ed3e1d3a2e4883c8e18990a015331bb82618f618e013b38b9"
GOLDEN_PADDED = "f9ecee2ce2fc307214285394ef219e2a4b76d66862d4ab3686b0817237738d19"
GOLDEN_TABLES = "844d2ad6f5a88bc341ce32e8ddf0d754d2df5d0bf2795af0cda9240323b54117"


def fake_vectors(count: int) -> Vectors:
    return np.stack([fake_vector(f"text {n}") for n in range(count)])


def bits(vectors: Vectors) -> NDArray[np.uint8]:
    return np.unpackbits(codes.encode(vectors), axis=1)


def rotate(vectors: Vectors) -> NDArray[np.float64]:
    return codes.rotate_columns(codes.round_to_integers(vectors).T).T


def test_codes_are_the_ones_stored_for_ever() -> None:
    """On whole numbers, because a norm would already differ between machines in its last bit."""
    drawn = np.frombuffer(shake_256(b"golden").digest(100 * 1536 * 2), dtype=">i2")
    dense = drawn.astype(np.float32).reshape(100, 1536)
    padded = dense * (np.arange(1536) < 256)
    assert sha256(codes.encode(dense).tobytes()).hexdigest() == GOLDEN_DENSE
    assert sha256(codes.encode(padded.astype(np.float32)).tobytes()).hexdigest() == GOLDEN_PADDED


def test_tables_are_the_ones_drawn_for_version_1() -> None:
    tables = [*codes.PERMUTATIONS, *codes.SIGNS, codes.LEFT, codes.RIGHT]
    digest = sha256(b"".join(table.astype("<i4").tobytes() for table in tables)).hexdigest()
    assert codes.CODE_VERSION == 1
    assert digest == GOLDEN_TABLES


def test_code_equals_the_definition_in_python_integers() -> None:
    """Exact integers of any size, no numpy arithmetic: what a reimplementation would do."""
    for vector in (fake_vector("a"), fake_vector("b", 256)):
        padded = np.zeros(1536, dtype=np.float32)
        padded[: len(vector)] = vector
        values = [int(value) for value in codes.round_to_integers(padded[None, :])[0]]
        for signs, order in zip(codes.SIGNS, codes.PERMUTATIONS, strict=True):
            values = [int(signs[i]) * values[order[i]] for i in range(1536)]
            left = codes.LEFT.astype(int).tolist()
            right = codes.RIGHT.astype(int).tolist()
            rows = [values[48 * i : 48 * i + 48] for i in range(32)]
            rows = [[sum(a * b for a, b in zip(r, row, strict=True)) for r in right] for row in rows]
            columns = list(zip(*rows, strict=True))
            values = [sum(a * b for a, b in zip(r, column, strict=True)) for r in left for column in columns]
        assert max(abs(value) for value in values) < 2**53
        expected = np.packbits(np.array([value > 0 for value in values]))
        np.testing.assert_array_equal(codes.encode_one(padded), expected)


def test_matrices_are_hadamard() -> None:
    np.testing.assert_array_equal(codes.LEFT @ codes.LEFT.T, 32 * np.eye(32))
    np.testing.assert_array_equal(codes.RIGHT @ codes.RIGHT.T, 48 * np.eye(48))
    for order, signs in zip(codes.PERMUTATIONS, codes.SIGNS, strict=True):
        assert sorted(order) == list(range(1536))
        assert set(signs) == {1.0, -1.0}


def test_rotation_keeps_lengths_and_angles() -> None:
    vectors = fake_vectors(8)
    rounded = codes.round_to_integers(vectors)
    rotated = rotate(vectors)
    np.testing.assert_allclose(rotated @ rotated.T, 1536.0**2 * (rounded @ rounded.T), rtol=1e-9, atol=1e14)


def test_first_bit_is_the_highest_of_the_first_byte() -> None:
    vectors = fake_vectors(3)
    np.testing.assert_array_equal(bits(vectors), rotate(vectors) > 0)
    assert codes.encode(vectors)[0, 0] >> 7 == int(rotate(vectors)[0, 0] > 0)


def test_one_vector_has_the_code_it_has_in_any_batch() -> None:
    vectors = fake_vectors(150)
    together = codes.encode(vectors)
    np.testing.assert_array_equal(np.stack([codes.encode_one(vector) for vector in vectors]), together)
    np.testing.assert_array_equal(codes.encode(vectors[70:71]), together[70:71])
    assert codes.encode(vectors[:0]).shape == (0, 192)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(-100, 100), st.sampled_from([1536, 256, 3]))
def test_powers_of_two_change_nothing_and_negation_everything(seed: int, power: int, width: int) -> None:
    vector = np.zeros((1, 1536), dtype=np.float32)
    vector[0, :width] = fake_vector(str(seed), width)
    vector = np.ldexp(vector, -20)  # room below float32's largest and above its smallest for the powers
    vector[np.abs(vector) < 2.0**-24 * np.abs(vector).max()] = 0
    scaled = np.ldexp(vector, min(power, 100) if power > 0 else max(power, -60))
    np.testing.assert_array_equal(codes.encode(scaled), codes.encode(vector))
    clear = rotate(vector)[0] != 0
    np.testing.assert_array_equal(bits(-vector)[0][clear], 1 - bits(vector)[0][clear])


def test_extreme_vectors_have_codes() -> None:
    vectors = np.zeros((4, 1536), dtype=np.float32)
    vectors[1, 5] = np.float32(1e-45)  # the smallest float32 there is
    vectors[2, :] = np.finfo(np.float32).max
    vectors[3, 7] = -1
    assert not codes.encode(vectors)[0].any()
    assert np.abs(rotate(vectors)).max() <= 2.0**30 * 1536**2
    np.testing.assert_array_equal(codes.encode(vectors[1:2]), codes.encode(np.ldexp(vectors[1:2], 60)))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_a_number_has_no_code(bad: float) -> None:
    vectors = fake_vectors(2)
    vectors[1, 3] = bad
    with pytest.raises(ValueError, match="NaN or infinity"):
        codes.encode(vectors)
    with pytest.raises(ValueError, match="NaN or infinity"):
        codes.encode_one(vectors[1])


def test_other_widths_have_no_code() -> None:
    with pytest.raises(ValueError, match="shape"):
        codes.encode(np.ones((2, 256), dtype=np.float32))
    with pytest.raises(ValueError, match="shape"):
        codes.encode_one(np.ones((1, 1536), dtype=np.float32))


def test_documented_listing_gives_the_same_codes() -> None:
    page = (Path(__file__).parents[2] / "docs" / "embedding.md").read_text(encoding="utf-8")
    listing: dict[str, Any] = {}
    exec(page.split("```python\n")[1].split("```")[0], listing)
    vectors = fake_vectors(3)
    vectors[1, 256:] = 0
    vectors[2] = 0
    vectors[2, 256] = 1
    expected = [bytes(row) for row in codes.encode(vectors)]
    assert [listing["code"](vector.tolist()) for vector in vectors] == expected
