"""The input pipeline yields the same batches in the same order, and does not tune itself."""

import keras
import numpy as np
import pytest

from mlm.backend.input_pipeline import make_input_pipeline


class Batches(keras.utils.PyDataset):
    """Three batches of four rows."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int):
        if index >= 3:
            raise IndexError(index)
        inputs = {"input_ids": np.full((4, 5), index, np.int32)}
        return inputs, np.full((4, 2), index, np.int32), np.full((4, 2), 0.5, np.float32)


def test_batches_come_in_order_and_end():
    received = list(make_input_pipeline(Batches()))
    assert len(received) == 3
    for one, other in zip(received, Batches(), strict=True):
        np.testing.assert_array_equal(one[0]["input_ids"], other[0]["input_ids"])
        for ours, theirs in zip(one[1:], other[1:], strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="tests tf.data")
def test_autotuning_is_off_and_shapes_are_static():
    dataset = make_input_pipeline(Batches())
    assert dataset.element_spec[0]["input_ids"].shape == (4, 5)
    assert not dataset.options().autotune.enabled
    assert int(dataset.cardinality()) == 3


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="tests tf.data")
def test_lengths_may_vary():
    class Growing(Batches):
        lengths_vary = True

        def __getitem__(self, index: int):
            inputs, labels, weights = super().__getitem__(index)
            return {name: each[:, : index + 1] for name, each in inputs.items()}, labels, weights

    dataset = make_input_pipeline(Growing())
    assert dataset.element_spec[0]["input_ids"].shape.as_list() == [4, None]
    assert [inputs["input_ids"].shape[1] for inputs, *_ in dataset] == [1, 2, 3]


def test_another_backend_gets_the_dataset_itself(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    batches = Batches()
    assert make_input_pipeline(batches) is batches


def test_an_error_in_a_batch_is_raised():
    class Broken(Batches):
        def __getitem__(self, index: int):
            if index == 1:
                raise OSError("the disk is gone")
            return super().__getitem__(index)

    with pytest.raises(Exception, match="the disk is gone"):
        list(make_input_pipeline(Broken()))
