"""Adam, AdamW and SGD on Keras; Adam's update in one pass on TensorFlow."""

from __future__ import annotations

from typing import Any, Literal

import keras

OptimizerName = Literal["adam", "adamw", "sgd"]


class _FusedUpdate:
    """Adam's update by TensorFlow's own kernel.

    Keras computes it in about fourteen passes over each weight; this kernel does it in seven memory
    streams. The same arithmetic, but for ``1 - beta`` taken in float32: the tests hold both to 1e-6
    after 30 steps at the tutorial's rate. For its 3.9 M weights and 32 pictures it took 3.5 ms of a
    step that was 26 ms before and is 20 ms now (2 cores).
    """

    def update_step(self: Any, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one variable and its two moments in place."""
        import tensorflow as tf

        at = self._get_variable_index(variable)
        step = tf.cast(self.iterations + 1, tf.float32)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[at].value.handle,
            v=self._velocities[at].value.handle,
            beta1_power=tf.pow(tf.constant(self.beta_1, tf.float32), step),
            beta2_power=tf.pow(tf.constant(self.beta_2, tf.float32), step),
            lr=tf.cast(learning_rate, tf.float32),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )


class FusedAdam(_FusedUpdate, keras.optimizers.Adam):  # type: ignore[misc]
    """``keras.optimizers.Adam``, faster on TensorFlow."""


class FusedAdamW(_FusedUpdate, keras.optimizers.AdamW):  # type: ignore[misc]
    """``keras.optimizers.AdamW``, faster on TensorFlow."""


def optimizer(name: OptimizerName, *, lr: float, weight_decay: float) -> keras.optimizers.Optimizer:
    """Make an optimizer.

    Parameters
    ----------
    name : {"adam", "adamw", "sgd"}
        ``sgd`` has Nesterov momentum 0.9.
    lr : float
        The first learning rate; a schedule sets others later.
    weight_decay : float
        Ignored by ``adam``. Biases and batch normalisation are not decayed.
    """
    fused = keras.backend.backend() == "tensorflow"
    if name == "adam":
        return (FusedAdam if fused else keras.optimizers.Adam)(lr)
    if name == "adamw":
        made = (FusedAdamW if fused else keras.optimizers.AdamW)(lr, weight_decay=weight_decay)
    else:
        made = keras.optimizers.SGD(
            lr, momentum=0.9, nesterov=True, weight_decay=weight_decay or None
        )
    if weight_decay:
        made.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return made
