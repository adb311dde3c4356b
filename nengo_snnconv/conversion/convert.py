"""convert, to_spiking and to_loihi: from a Keras model to networks of Nengo's own objects, with rates or spikes."""

import warnings

import nengo
import numpy as np

from .._util.validation import check_seed
from ..errors import ConversionError, SnnConvWarning
from ..formats.keras import as_model
from ..model.input_range import with_input_range
from ..networks.edits import check_unedited
from ..networks.loihi.builder import loihi_form
from ..networks.native import NativeConfig, require_native_network
from ..networks.network import ConvNetwork
from ..networks.surrogate import SurrogateConfig
from ..networks.trainable import TrainableConfig, check_collected
from ..networks.ttfs import TTFSConfig
from ..neurons.integrate_and_fire import IntegrateAndFire
from ..neurons.surrogate_lif import SurrogateLIF
from ..passes import FOLDING, simplify


def convert(source, *, seed=0):
    """Convert a Keras model to a network that has only Nengo's own objects, with rectified-linear rates.

    In every step the network computes what the Keras model does, layer by layer, up to rounding.  Batch normalisation
    and the like are folded into the layers beside them, dropout is left out, a softmax at the end is read out as
    logits.  ``network.report()`` says what became of each layer.  ``network.model.metadata["input_range"]`` has the
    range of pixels that a first layer such as ``Rescaling(1 / 255)`` asks for, if it is not 0 to 1.

    Parameters
    ----------
    source : Keras model, str, path, Model or ConvNetwork
        A live model of tf.keras, tf-keras or Keras 3, a ``.keras`` or ``.h5`` file, a Model, or a network that was
        trained with ``build_trainable(model, nengo.RectifiedLinear())``.  A network with ``SurrogateLIF`` neurons keeps
        them, and spikes as it did.
    seed : int
        Of the network.

    Returns
    -------
    ConvNetwork

    Raises
    ------
    ConversionError
        If a layer or an option is not supported: names each layer, its class and what to do instead.
    FileNotFoundError, FileFormatError
        If there is no such file, or it is no Keras model.
    """
    check_seed(seed, optional=True)
    if isinstance(source, ConvNetwork):
        check_unedited(source)
    if isinstance(source, ConvNetwork) and isinstance(source.settings.neuron_type, SurrogateLIF):
        return _with_surrogates(source, seed)
    if isinstance(source, ConvNetwork):
        source = _rectified_model(source)
    model = with_input_range(as_model(source))
    return ConvNetwork(simplify(model), NativeConfig(nengo.RectifiedLinear(), seed))


def _with_surrogates(network, seed):
    """The network of Nengo's own objects with the neurons of one that was trained through time."""
    if isinstance(network.settings, TrainableConfig):
        check_collected(network)
        if network.settings.synapse is not None:
            raise ConversionError("convert takes SurrogateLIF networks without synapses: rebuild(synapse=None)")
    return ConvNetwork(simplify(network.model, FOLDING), SurrogateConfig(network.settings.neuron_type, seed))


def _rectified_model(network):
    """The model of a network whose neurons compute the rectifier."""
    settings = network.settings
    if isinstance(settings, TTFSConfig):
        raise ConversionError("this network has time to first spike already: convert the Keras model that it came from")
    if isinstance(settings, TrainableConfig):
        check_collected(network)
        if not settings.rectifies:
            raise ConversionError(
                f"this network was trained with the response of {settings.neuron_type}, which is not the rectifier "
                "that convert assumes: run it as it is, or train with build_trainable(model, nengo.RectifiedLinear())"
            )
    return network.model


def to_spiking(
    network,
    neuron_type=None,
    *,
    input_coding="constant",
    input_threshold=1.0,
    readout="potential",
    max_rate=None,
    synapse=None,
    direct=False,
    seed=None,
):
    """A network with spiking neurons in the place of rectifiers.

    Parameters
    ----------
    network : ConvNetwork
        Made by ``convert``, usually normalised by ``normalize``, so that activations do not exceed 1.
    neuron_type : nengo.neurons.NeuronType, optional
        ``IntegrateAndFire()`` by default.  Any Nengo type with an amplitude and a static response will do, such as
        ``nengo.LIF(min_voltage=-5)``: its gain, bias and amplitude are fitted so that its response comes
        closest to the rectifier.
    input_coding : "constant" or "poisson"
        Images as constant current, or as Poisson spikes (Diehl et al. 2015): in each step, a spike with probability
        ``min(1, |x| / input_threshold)``.
    input_threshold : float
        Pixel value at which Poisson input spikes in every step; a spike has this height, so the mean is kept.
    readout : "potential" or "spikes"
        Class scores are the membrane potential that the output layer's current would build up, or the spikes
        of output neurons, of which the class with the most wins (Diehl et al. 2015); of equal scores, the first.
    max_rate : float, optional
        Firing rate in Hz of a neuron at an activation of 1.  1 / amplitude of the neuron type by default; for types
        with Nengo's amplitude of 1, 0.4 / tau_ref (200 Hz for nengo.LIF), or 1000 Hz without tau_ref.
    synapse : float or nengo.synapses.Synapse, optional
        Filter on the spikes between layers; none by default.
    direct : bool
        Connect weighted layers that only drive neurons to them without a node in between.  Such a layer is then not
        among ``network.layers``; its current is the input of its neurons.  (``to_loihi`` goes further.)
    seed : int, optional
        Of Poisson spikes and of what neuron types draw; that of ``network`` by default.

    Returns
    -------
    ConvNetwork

    Raises
    ------
    ConversionError, SettingsError
        If the network was not made by ``convert``; if the neuron type or another argument does not do.
    """
    require_native_network(network, "to_spiking")
    settings = NativeConfig(
        IntegrateAndFire() if neuron_type is None else neuron_type,
        network.settings.seed if seed is None else seed,
        max_rate=max_rate,
        input_coding=input_coding,
        input_threshold=input_threshold,
        readout=readout,
        synapse=synapse,
        direct=direct,
    )
    neuron_type = settings.neuron_type
    if not neuron_type.spiking:
        raise ConversionError(f"{neuron_type} does not spike: use IntegrateAndFire, nengo.LIF or another spiking type")
    warn_of_clipping(network.model, neuron_type)
    if type(neuron_type) is nengo.LIF and neuron_type.min_voltage == 0:
        warnings.warn(
            "nengo.LIF keeps its voltage from falling below 0, and so forgets negative input, which makes neurons fire "
            "too much: use nengo.LIF(min_voltage=-5)",
            SnnConvWarning,
            stacklevel=2,
        )
    return ConvNetwork(network.model, settings, network.label)


def warn_of_clipping(model, neuron_type):
    """Warn where neurons cannot reach the activations of a model, because it was not normalised."""
    limited = getattr(neuron_type, "max_spikes", np.inf) == 1 or getattr(neuron_type, "tau_ref", 0) > 0
    if "scales" not in model.metadata and limited:
        warnings.warn(
            "the network was not normalised: activations above 1 would be clipped. Call normalize(network, x) first",
            SnnConvWarning,
            stacklevel=3,
        )


def to_loihi(network):
    """A spiking network in the form that nengo_loihi takes, for its emulator or the chip itself.

    ``evaluate(..., backend="loihi")`` does this by itself; call it to look at the result with ``report()``, or to run
    it in a ``nengo_loihi.Simulator`` of your own.  It is an ordinary network, which other back ends run too.

    - What lies between layers of neurons, average pooling and all, becomes one connection.
    - Neurons that see the image are off the chip, where the image becomes spikes; the others are on it, and start at
      zero.  Class scores are weighted off the chip, or are spikes of output neurons on it.
    - Layers are spread over as few cores as hold them.

    Parameters
    ----------
    network : ConvNetwork
        Made by ``to_spiking`` with ``nengo.LIF`` or ``nengo.SpikingRectifiedLinear``, such as
        ``to_spiking(network, nengo.LIF(min_voltage=-5), max_rate=300)``.

    Returns
    -------
    ConvNetwork
        With the options of nengo_loihi, ``on_chip`` and ``block_shape``, in its config.

    Raises
    ------
    ConversionError
        If the network is another one, or Loihi has no neurons for it: IntegrateAndFire, Poisson input, maxima; if a
        layer does not fit on the cores.
    CompatibilityError
        If nengo-loihi is not installed.
    """
    return loihi_form(network)
