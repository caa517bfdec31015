"""The batches of a run as a Keras dataset; mlm/data/batches/ does not import Keras."""

import keras

from mlm.backend import processes
from mlm.data.batches.dynamic_padding import Batch
from mlm.training.run_parts import RunBatches


class TrainingDataset(keras.utils.PyDataset):
    """Steps `start_step` to `stop_step - 1` of a run, one batch each, as (x, y, sample_weight).

    A batch is cut to the columns that are not padding in every row, and in a cluster to the rows
    of this process. Item i is batch start_step + i, so call `fit` with shuffle=False: Keras would
    reorder the steps.
    """

    def __init__(self, batches: RunBatches, start_step: int, stop_step: int):
        super().__init__(workers=1)
        self._batches = batches
        self._start_step = start_step
        self._stop_step = stop_step
        self._lengths: dict[int, int] = {}

    @property
    def lengths_vary(self) -> bool:
        """Return whether batches may have different lengths; the number of rows is constant."""
        return len(self._batches.sizes) > 1

    def length_of(self, index: int) -> int | None:
        """Return the tokens of a row of item `index`, which was made; None if all have the same."""
        return self._lengths.get(index) if self.lengths_vary else None

    def __len__(self) -> int:
        return max(0, self._stop_step - self._start_step)

    def __getitem__(self, index: int) -> Batch:
        if not 0 <= index < len(self):
            raise IndexError(f"batch {index} of {len(self)}")
        batch = self._batches.batch_at(self._start_step + index)
        inputs, labels, weights = self._batches.trim(batch)
        self._lengths[index] = inputs["input_ids"].shape[1]
        if not self._batches.is_padded:
            del inputs["attention_mask"]  # all ones: attention is cheaper without a mask
        return processes.own_rows((inputs, labels, weights))
