"""quantize_weights: integer weights with few bits, as chips store them."""

from __future__ import annotations

import types

import numpy as np

from .._util.validation import check_choice, check_positive, shown
from ..errors import ConversionError, SettingsError
from ..inputs import Data, as_images
from ..model.memory import MEMORY_MB
from ..networks.context import adds_result_only
from ..networks.network import ConvNetwork, check_network, not_convertible
from ..networks.rate_model import outputs_of, prediction_batch, rate_model
from ..networks.trainable import TrainableConfig
from ..passes import round_weights
from .integer_fit import fit_integers

BITS = range(2, 9)


@adds_result_only
def quantize_weights(
    network: ConvNetwork,
    x: Data | None = None,
    *,
    bits: int = 8,
    per: str = "channel",
    memory_mb: float = MEMORY_MB,
) -> ConvNetwork:
    """Round the weights of a network to integers with a scale, as chips store them.

    W = scale * W_int, with W_int from -(2^(bits - 1) - 1) to 2^(bits - 1) - 1.  Without ``x``, integers are the
    nearest, and ``scale`` is the largest magnitude of the weights of an output channel divided by the largest integer;
    zero stays zero.  With ``x``, scales and integers are those with which the outputs of each layer change least on
    these images, for the outputs of the integer layers before it (Frantar et al. 2022, arXiv 2210.17323).  4 bits need
    this.

    Biases are integers as well, b = scale / 64 * b_int with b_int of 24 bits.  A chip adds them to the weighted spikes
    in the accumulator of a neuron, which has more bits than a weight: Loihi shifts weights to the left by 6 bits and
    has potentials of 24 bits.  If a bias would exceed this range, the scale of its channel grows.  The threshold 1 of a
    neuron is 64 / scale in the unit of its accumulator.

    Layers that a sum adds share the scales of their channels, since a neuron has one accumulator.  The scale of a layer
    that only multiplies channels, and is not added to others, is that of its one weight, which it keeps.

    Quantize last: ``normalize``, ``calibrate`` and ``to_ttfs`` need the weights before.  The result is an ordinary
    network for every back end.  ``evaluate`` measures its accuracy, beside that of the ANN with its own weights.

    Parameters
    ----------
    network : ConvNetwork
        Network made by ``convert``, ``normalize``, ``to_spiking``, ``calibrate``, ``to_ttfs``, ``to_loihi`` or
        ``read_nir``.
    x : ndarray, (images, height, width, channel), or a data set, optional
        Some hundred training images in any form that :func:`normalize` reads, to choose the integers and to measure
        the error of each layer's output, with rates in place of spikes.
    bits : int
        Bits of a weight with its sign, 2 to 8.
    per : "channel" or "layer"
        Weights that share a scale: those of an output channel, or all of a layer.
    memory_mb : float
        Approximate memory for the outputs of layers on ``x``, in megabytes.

    Returns
    -------
    ConvNetwork
        Network of the same type.  ``network.model.metadata["quantization"]`` holds the scales and the errors by layer,
        which ``network.report()`` shows: the norm of the error relative to the norm of the weights, and of the output
        with integer weights in this layer and all before it.  ``network.model.ann`` is the model with the weights of
        the ANN.

    Raises
    ------
    ConversionError
        If the network was made by ``build_trainable`` or was quantized before, or its neurons have no rates and ``x``
        is given.
    SettingsError
        If an argument has an invalid value, or the images do not fit the network.

    Examples
    --------
    >>> snn = snc.to_spiking(snc.normalize(snc.convert(keras_model), x_calibration))
    >>> small = snc.quantize_weights(snn, x_calibration[:200], bits=8)
    >>> print(small.report())
    >>> snc.save(small, "small.snn.npz", ann=False)
    """
    check_network(network)
    if isinstance(network.settings, TrainableConfig):
        why = not_convertible(network) or "call convert first"
        raise ConversionError(f"quantize_weights takes a network that is not trained any more: {why}")
    if "quantization" in network.model.metadata:
        raise ConversionError(
            "the weights of this network are integers already: call quantize_weights with the network before that"
        )
    if isinstance(bits, bool | np.bool_) or not isinstance(bits, int | np.integer) or bits not in BITS:
        raise SettingsError(f"bits must be a whole number from 2 to 8, got {shown(bits)}", argument="bits")
    check_choice(("channel", "layer"), per=per)
    check_positive(memory_mb=memory_mb)
    if x is not None:
        x, _ = as_images(network.model, x, means=True)
    model = round_weights(network.model, int(bits), per)
    if x is not None:
        model = fit_integers(network, model, x, memory_mb)
        model = _with_output_errors(network, model, x, memory_mb)
    return network.rebuild(model)


def _with_output_errors(network, model, x, memory_mb):
    """Return the quantized ``model`` of a network with the relative error of each layer's output on images."""
    description = model.metadata["quantization"]
    names = list(description["errors"])
    if not names:
        return model
    # without ann_arrays, whose rates these would be
    before, after = (
        rate_model(types.SimpleNamespace(model=each.replace(ann_arrays={}), settings=network.settings), names)
        for each in (network.model, model)
    )
    batch_size = prediction_batch(model, memory_mb, kept=[*names, *names])
    squares, errors = np.zeros(len(names)), np.zeros(len(names))
    for start in range(0, len(x), batch_size):
        batch = x[start : start + batch_size]
        pairs = zip(_outputs(before, batch), _outputs(after, batch), strict=True)
        for i, (exact, found) in enumerate(pairs):
            squares[i] += np.square(exact, dtype=np.float64).sum()
            errors[i] += np.square(np.subtract(found, exact, dtype=np.float64)).sum()
    relative = np.sqrt(np.divide(errors, squares, out=np.zeros(len(names)), where=squares > 0))
    measured = {
        name: {**description["errors"][name], "output": float(error)}
        for name, error in zip(names, relative, strict=True)
    }
    return model.replace(
        metadata={**model.metadata, "quantization": {**description, "errors": measured, "images": len(x)}}
    )


def _outputs(keras, x):
    outputs = outputs_of(keras, x, len(x))
    return outputs if isinstance(outputs, list) else [outputs]
