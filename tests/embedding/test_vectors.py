import numpy as np
import pytest

from ragstore.embedding.provider import check_vectors, pad_vectors, to_unit_length
from ragstore.errors import InvalidVector, ProviderFailed
from tests.fake_openai import fake_vector


def test_padding_keeps_values_in_front() -> None:
    vectors = np.arange(1, 7, dtype=np.float32).reshape(2, 3)
    padded = pad_vectors(vectors)
    assert padded.shape == (2, 1536)
    assert padded.dtype == np.float32
    np.testing.assert_array_equal(padded[:, :3], vectors)
    assert not padded[:, 3:].any()


def test_wider_vectors_are_refused_with_both_numbers() -> None:
    with pytest.raises(ProviderFailed, match="3072 dimensions, at most 1536"):
        pad_vectors(np.ones((1, 3072), dtype=np.float32))
    with pytest.raises(InvalidVector):
        pad_vectors(np.ones((1, 1537), dtype=np.float32), error=InvalidVector)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, "Vector 1 holds NaN or infinity"),
        (np.inf, "Vector 1 holds NaN or infinity"),
        (0.0, "Vector 1 is all zero"),
        (1e-25, "Vector 1 is too short"),
        (1e20, "Vector 1 is too short or too long"),
    ],
)
def test_vectors_without_a_direction_are_refused(value: float, message: str) -> None:
    vectors = np.stack([fake_vector("a"), np.full(1536, value, dtype=np.float32)])
    with pytest.raises(ProviderFailed, match=message):
        check_vectors(vectors, (2, 1536))
    with pytest.raises(InvalidVector, match=message):
        check_vectors(vectors, (2, 1536), error=InvalidVector)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ProviderFailed, match="shape"):
        check_vectors(np.ones((2, 1536), dtype=np.float32), (3, 1536))


def test_unit_vectors_pass_untouched_and_others_are_scaled() -> None:
    unit = np.stack([fake_vector("a"), fake_vector("b")])
    assert to_unit_length(unit) is unit
    mixed = to_unit_length(np.stack([unit[0], 7 * unit[1]]))
    np.testing.assert_array_equal(mixed[0], unit[0])
    np.testing.assert_allclose(mixed[1], unit[1], rtol=1e-6)
