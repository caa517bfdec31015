"""One optimizer update of an encoder with its head, in one pass or accumulated over micro-batches.

dataset.py            the batches of a run, as Keras takes them
learner.py            the model with its loss, as `fit` trains it
loss.py               the loss of a batch, and its mean over several steps
task_loss.py          the losses of supervised tasks
tensorflow.py, jax.py the loop over micro-batches, and TensorFlow's fused AdamW
tensorflow_layers.py  layers of equal shape that share one traced graph
optimizer.py          AdamW or Muon, weight decay, learning-rate schedule
safe_update.py        clipping and loss scaling over all replicas; skips non-finite steps
"""

from mlm.training.step.learner import Learner

__all__ = ["Learner"]
