"""A model as `fit` trains it, with gradient accumulation.

The weights of a batch sum to 1, so its gradient is the sum of the gradients of its rows, however
they are distributed over micro-batches and replicas: k micro-batches give the step of the whole
batch. Keras' own accumulation averages over micro-batches with different numbers of labels, and
does not work on several TensorFlow replicas.
"""

import keras

from mlm.model.encoder import Encoder
from mlm.training.step.loss import ElementLoss, MeanLoss, SummedLoss


class Learner(keras.Model):
    """Keras model that trains an encoder with its head; its variables are that model's own.

    element_loss: the loss of each label.
    gradient_accumulation_steps: micro-batches in one step; divides the rows of each replica.
    """

    def __init__(
        self, model: Encoder, element_loss: ElementLoss, gradient_accumulation_steps: int = 1
    ):
        super().__init__(dtype=model.dtype_policy, name="learner")
        self.model = model
        self._element_loss = element_loss
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self.built = True
        model.compile_fused_ops()
        if keras.backend.backend() == "tensorflow":
            from mlm.training.step.tensorflow_layers import SharedLayerGraphs

            model.call_layer = SharedLayerGraphs()

    def call(self, inputs, training=False):
        """Return the model's logits, float32."""
        return self.model(inputs, training=training)

    def compile_for_training(
        self, optimizer: keras.optimizers.Optimizer, *, jit_compile: bool
    ) -> MeanLoss:
        """Compile with the loss for batches whose weights sum to 1.

        Returns the metric that holds the mean loss over several steps.
        """
        # Not an attribute: Keras would track its variables twice, and JAX would donate them twice.
        mean_loss = MeanLoss(self._element_loss)
        self.compile(
            optimizer,
            loss=SummedLoss(self._element_loss),
            weighted_metrics=[mean_loss],
            jit_compile=jit_compile,
            auto_scale_loss=False,  # the optimizer scales it, and checks all replicas
        )
        self.optimizer.build(self.trainable_variables)
        return mean_loss

    def train_step(self, *arguments):
        """Make one update; arguments and result are those of the backend's Keras trainer."""
        if self.gradient_accumulation_steps == 1:
            return super().train_step(*arguments)
        if keras.backend.backend() == "jax":
            from mlm.training.step.jax import train_step
        else:
            from mlm.training.step.tensorflow import train_step  # type: ignore[assignment]
        return train_step(self, *arguments)
