"""convert, to_spiking and to_loihi: from a trained model to native Nengo networks with rates or spikes."""

from __future__ import annotations

import typing
from collections.abc import Mapping

import nengo
import numpy as np

from .._util.user_warnings import warn_user
from .._util.validation import check_choice, check_seed
from ..errors import ConversionError, SettingsError
from ..formats.as_model import as_model, check_input_shape
from ..model import Model
from ..model import layers as specs
from ..model.input_range import input_range, with_input_range
from ..networks.edits import check_unedited
from ..networks.layerwise import LayerwiseConfig
from ..networks.loihi.builder import loihi_form
from ..networks.native import INPUT_CODINGS, NativeConfig, require_native_network, require_uncalibrated, require_unsplit
from ..networks.network import ConvNetwork, check_not_own_network, not_convertible
from ..networks.neuron_types import by_layer
from ..networks.staged import StagedConfig
from ..networks.surrogate import SurrogateConfig
from ..networks.trainable import TrainableConfig, check_collected
from ..networks.ttfs import TTFSConfig
from ..neurons.integrate_and_fire import IntegrateAndFire
from ..neurons.surrogate_lif import SurrogateLIF
from ..passes import FOLDING, simplify


def convert(source: typing.Any, *, seed: int | None = 0, input_shape: typing.Any = None) -> ConvNetwork:
    """Convert a Keras, ONNX or PyTorch model to a native Nengo network with rectified-linear firing rates.

    In every step each layer of the network has the output of the given layer, up to rounding.  Batch normalization and
    other scaling layers are folded into adjacent layers, dropout is removed, and a softmax at the end is replaced by
    its logits.  ``network.report()`` lists how each layer was converted.  ``network.model.metadata["input_range"]`` is
    the range of pixels that a first layer such as ``Rescaling(1 / 255)`` expects, if it is not 0 to 1.

    Parameters
    ----------
    source : Keras model, onnx.ModelProto, torch.nn.Module, str, path, Model or ConvNetwork
        A model of tf.keras, tf-keras or Keras 3, a ``.keras``, ``.h5`` or ``.onnx`` file, an ONNX model or a PyTorch
        module in memory, a Model, or a network that was trained with ``build_trainable(model,
        nengo.RectifiedLinear())``.  A network with ``SurrogateLIF`` neurons keeps them and its spikes.
    seed : int, optional
        Seed of the network.
    input_shape : tuple of int, or list or dict of them, optional
        Shape of an item in the order of PyTorch or ONNX, such as (3, 32, 32).  A PyTorch module needs it, and so does
        an ONNX model that leaves it open.  For several inputs, a list of shapes in their order, or a dict by name.  The
        network takes images channels-last, such as (32, 32, 3).

    Returns
    -------
    ConvNetwork

    Raises
    ------
    ConversionError
        If a layer or an option is not supported; the message names each such layer, its class and an alternative.
    FileNotFoundError, FileFormatError
        If the file does not exist, or is damaged or of another format.
    CompatibilityError
        If the package onnx, or one that PyTorch needs to export, is not installed.

    Examples
    --------
    >>> network = nengo_snnconv.convert("model.keras")
    >>> network = nengo_snnconv.convert(module, input_shape=(3, 32, 32))
    >>> print(network.report())
    """
    check_seed(seed, optional=True)
    check_input_shape(source, input_shape)
    check_not_own_network(source, ConversionError)
    if isinstance(source, ConvNetwork):
        check_unedited(source)
    if isinstance(source, ConvNetwork | Model):
        model = getattr(source, "model", source)
        require_uncalibrated(model, "convert")
        require_unsplit(model, "convert")
    if isinstance(source, ConvNetwork) and isinstance(source.settings.neuron_type, SurrogateLIF):
        return _with_surrogates(source, seed)
    if isinstance(source, ConvNetwork):
        source = _rectified_model(source)
    model = with_input_range(as_model(source, input_shape=input_shape))
    return ConvNetwork(simplify(model), NativeConfig(nengo.RectifiedLinear(), seed))


def _with_surrogates(network, seed):
    """Return the native network with the SurrogateLIF neurons of a network that was trained through time."""
    if isinstance(network.settings, TrainableConfig):
        check_collected(network)
        if network.settings.synapse is not None:
            raise ConversionError(
                "convert takes SurrogateLIF networks without synapses only: call rebuild(synapse=None) first"
            )
    model, settings = simplify(network.model, FOLDING), network.settings
    if len(settings.of_types) == 1:
        return ConvNetwork(model, SurrogateConfig(*settings.of_types, seed))
    types = tuple(settings.of_layer(network.model, name).neuron_type for name in model.neurons)
    return ConvNetwork(model, LayerwiseConfig(types[0], seed, neuron_types=types, keeps=(0.0,) * len(types)))


def _rectified_model(network):
    """Return the model of a network whose neurons compute the rectifier."""
    settings = network.settings
    if isinstance(settings, TTFSConfig):
        raise ConversionError("this network has time to first spike already: convert the Keras model it was made from")
    if isinstance(settings, TrainableConfig):
        check_collected(network)
        if why := not_convertible(network):
            raise ConversionError(f"convert cannot take this network: {why}")
    return network.model


def to_spiking(
    network: ConvNetwork,
    neuron_type: nengo.neurons.NeuronType | Mapping[str, nengo.neurons.NeuronType] | None = None,
    *,
    input_coding: str = "constant",
    input_threshold: float | None = None,
    readout: str = "potential",
    max_rate: float | None = None,
    synapse: float | nengo.synapses.Synapse | None = None,
    direct: bool = False,
    stage_steps: int | None = None,
    seed: int | None = None,
) -> ConvNetwork:
    """Replace rectified-linear rates by spiking neurons.

    Parameters
    ----------
    network : ConvNetwork
        Network made by ``convert``, and usually ``normalize``, so that activations do not exceed 1.
    neuron_type : nengo.neurons.NeuronType or dict of str to NeuronType, optional
        By default ``IntegrateAndFire()``; ``SignedIntegrateAndFire()`` for deep networks in few steps.  Any Nengo type
        with an amplitude and a static response is possible, such as ``nengo.LIF(min_voltage=-5)``: gain, bias and
        amplitude are fitted so that its response is closest to the rectifier.

        A dict has a type for each layer, by the name of the rectifier or of the layer with weights before it; "*"
        stands for all other layers and for output neurons.
    input_coding : "constant" or "poisson"
        Images as constant current, or as Poisson spikes (Diehl et al. 2015): in each step, a spike with probability
        ``min(1, |x| / input_threshold)``.
    input_threshold : float, optional
        Pixel value for which Poisson input spikes in every step.  Spikes have this height, so the mean is that of the
        image.  By default the largest pixel that the model's first layer expects, such as 255 for ``Rescaling(1 /
        255)``; else 1.
    readout : "potential" or "spikes"
        Class scores: the membrane potential that the current of the output layer would reach without spikes, or the
        number of spikes of output neurons (Diehl et al. 2015).  The prediction is the class with the largest score, the
        first one if scores are equal.
    max_rate : float, optional
        Firing rate in Hz of a neuron at an activation of 1.  By default 1 / amplitude of the neuron type; for types
        with Nengo's amplitude of 1, 0.4 / tau_ref (200 Hz for nengo.LIF), or 1000 Hz without tau_ref.
    synapse : float or nengo.synapses.Synapse, optional
        Filter on the spikes between layers; none by default.
    direct : bool
        Connect layers with weights directly to the neurons that they drive, without a node in between, if they drive
        nothing else.  Such a layer is not in ``network.layers``; its output is the input current of its neurons.
        (``to_loihi`` also merges other layers.)
    stage_steps : int, optional
        Run in stages of this number of steps: each layer integrates its input while the layers before it spike, and
        spikes only in the stage after them.  Spike counts are then exactly those of the ANN whose activations are
        rounded to ``stage_steps`` levels (Bu et al. 2022, QCFS), at any depth.  Neurons spike as often as in
        ``stage_steps`` ordinary steps, but the latency grows with the depth: ``stage_steps`` times one more than the
        largest number of layers of neurons in a row.  A pipeline, in which neurons have a potential for each image
        under way, takes one image per stage.  Neurons must be ``IntegrateAndFire()``, with any initial potential.
        ``evaluate`` and ``record`` know the number of steps.
    seed : int, optional
        Seed of Poisson spikes and of random numbers of neuron types; by default that of ``network``.

    Returns
    -------
    ConvNetwork

    Raises
    ------
    ConversionError
        If the network was not made by ``convert``, or the neuron type cannot be used; or if ``calibrate`` made it, and
        ``stage_steps`` is given.
    SettingsError
        If an argument has an invalid value, or cannot be combined with ``stage_steps``.

    Warns
    -----
    SnnConvWarning
        If the network was not normalized and the neurons cannot exceed an activation of 1, or if ``nengo.LIF`` would
        ignore negative input.

    Examples
    --------
    >>> snn = nengo_snnconv.to_spiking(network, nengo_snnconv.IntegrateAndFire())
    >>> exact = nengo_snnconv.to_spiking(network, stage_steps=4)
    >>> mixed = nengo_snnconv.to_spiking(network, {"conv1": nengo.LIF(min_voltage=-5), "*": IntegrateAndFire()})
    """
    require_native_network(network, "to_spiking", calibrated=stage_steps is None)
    given = IntegrateAndFire() if neuron_type is None else neuron_type
    default, neuron_types = by_layer(given, network.model, IntegrateAndFire())
    seed = network.settings.seed if seed is None else seed
    if input_threshold is None:
        check_choice(INPUT_CODINGS, input_coding=input_coding)
        known = input_range(network.model) if input_coding == "poisson" else None
        input_threshold = 1.0 if known is None else max(map(abs, known))
    settings = NativeConfig(
        default,
        seed,
        max_rate=max_rate,
        input_coding=input_coding,
        input_threshold=input_threshold,
        readout=readout,
        synapse=synapse,
        direct=direct,
        neuron_types=neuron_types,
    )
    if not default.spiking:
        raise ConversionError(
            f"neuron_type={default} does not spike: use IntegrateAndFire, nengo.LIF or another spiking type"
        )
    warn_of_clipping(network.model, settings)
    if any(type(each) is nengo.LIF and each.min_voltage == 0 for each in settings.of_types):
        warn_user(
            "nengo.LIF clips its membrane potential at 0 and so forgets negative input, which makes neurons fire too "
            "often: use nengo.LIF(min_voltage=-5)",
        )
    if stage_steps is not None:
        return ConvNetwork(network.model, _staged_config(settings, stage_steps), network.label)
    return ConvNetwork(network.model, settings, network.label)


def _staged_config(settings, stage_steps):
    """Return the settings of a network that runs in stages; raise SettingsError for options that it cannot have."""
    if settings.neuron_types:
        raise SettingsError(
            "neuron_type must be one type for all layers with stage_steps: use IntegrateAndFire(), or leave "
            "stage_steps out",
            argument="neuron_type",
        )
    usual = {"input_coding": "constant", "max_rate": None, "synapse": None, "direct": False}
    for name, value in usual.items():
        given = getattr(settings, name)
        if given != value:
            raise SettingsError(
                f"{name}={given!r} cannot be combined with stage_steps: in stages, the image is a constant current, "
                "biases are currents of one stage, and spikes are counted without a filter; leave out one of the two",
                argument=name,
            )
    return StagedConfig(settings.neuron_type, settings.seed, stage_steps=stage_steps, readout=settings.readout)


def warn_of_clipping(model: Model, settings: NativeConfig) -> None:
    """Warn if a model was not normalized and neurons cannot exceed an activation of 1."""
    limited = any(
        getattr(each, "max_spikes", np.inf) == 1 or getattr(each, "tau_ref", 0) > 0 for each in settings.of_types
    )
    levels = [layer.levels for layer in model.layers.values() if isinstance(layer, specs.Rectifier)]
    trained = bool(levels) and None not in levels  # with thresholds of 1
    if "scales" not in model.metadata and limited and not trained:
        warn_user(
            "the network was not normalized, so activations above 1 are clipped: call normalize(network, x) first",
        )


def to_loihi(network: ConvNetwork) -> ConvNetwork:
    """Return a spiking network in the form that nengo-loihi supports, for its emulator or the chip.

    ``evaluate(..., backend="loihi")`` calls this function itself.  Call it to see the ``report()`` of the result, or to
    run it in a ``nengo_loihi.Simulator``.  The result is an ordinary network, which other back ends run too.

    - All layers between two layers of neurons, including average pooling, become one connection.
    - Neurons that receive the image are off the chip, where the image becomes spikes.  All others are on the chip, with
      an initial membrane potential of zero.  Class scores are computed off the chip, or are spikes of output neurons on
      it.
    - Layers are distributed over the smallest number of cores that can hold them.

    Parameters
    ----------
    network : ConvNetwork
        Network made by ``to_spiking`` with ``nengo.LIF`` or ``nengo.SpikingRectifiedLinear``, such as
        ``to_spiking(network, nengo.LIF(min_voltage=-5), max_rate=300)``.

    Returns
    -------
    ConvNetwork
        Network with the options of nengo-loihi, ``on_chip`` and ``block_shape``, in its config.

    Raises
    ------
    ConversionError
        If the network was not made by ``to_spiking``, contains elements that Loihi lacks (IntegrateAndFire neurons,
        Poisson input, maxima), or has a layer that does not fit on the cores.
    CompatibilityError
        If nengo-loihi is not installed.
    """
    return loihi_form(network)
