"""GuiNetwork: a converted network for Nengo GUI, with sliders that choose its image."""

from __future__ import annotations

from collections.abc import Sequence

import nengo
import numpy as np

from .._util.printable import printable
from .._util.validation import check_counts, check_names
from ..errors import ConversionError, SettingsError, listed
from ..evaluation.task import class_numbers
from ..inputs import as_images
from ..inputs.several import has_several
from ..model.image_axes import image_axes
from ..networks.edits import check_unedited
from ..networks.network import ConvNetwork, check_not_own_network
from ..networks.trainable import TrainableConfig, for_nengo
from .restarting import Average, RestartingNetwork
from .views import picture_svg, scores_svg

# replacements for characters with a meaning in HTML, which Nengo GUI does not escape
_LOOK_ALIKES = str.maketrans("<>&\"'`", "‹›＆”’‘")


class GuiNetwork(nengo.Network):
    """A converted network whose input image is chosen by sliders while it runs, for Nengo GUI.

    When another image is chosen, the state of the network is reset, so its answer is that of ``evaluate`` after the
    same number of steps.  The class with the largest mean score since then is recognized; of equal scores, the first.

    A network with time-to-first-spike coding computes its scores in the last of its stages, and no mean is taken.
    After that stage it rests until another image is chosen.

    Open a script that sets ``model = GuiNetwork(...)`` with ``nengo script.py``;
    :func:`nengo_snnconv.write_gui_script` writes one, with a layout that shows all components at once.

    Parameters
    ----------
    network : ConvNetwork
        Network made by ``convert``, ``to_spiking`` or ``to_ttfs``.  A copy of it is shown.
    x : ndarray, (images, height, width, channel)
        Images to choose from.
    y : ndarray of int, (images,)
        Classes of the images.
    class_names : sequence of str, optional
        Names of the classes; their numbers by default.
    examples : int
        Number of images of each class to choose from; the first ones are used.
    label : str, optional
        Name of the network.

    Attributes
    ----------
    choose_class : nengo.Node
        Constant that a slider changes.  The nearest class that has images is shown.
    choose_example : nengo.Node
        Constant that a slider changes: index of the image among those of its class, from 0.
    shown : nengo.Node
        Index of the image among all images to choose from, which are sorted by class.
    image : nengo.Node
        Pixels of the image.  Nengo GUI's HTML view of this node shows the picture.
    trial : nengo.Network
        Part whose state is reset for each image: ``image``, ``network`` and ``scores``.
    network : ConvNetwork
        Copy of the network.
    scores : nengo.Node
        Mean of the class scores since the image was chosen; the scores themselves for time to first spike.
    recognised : nengo.Node
        Number of the class with the largest score.  Nengo GUI's HTML view of this node shows its name, and the scores
        as bars.
    spiking : tuple of nengo.Ensemble
        Spiking ensembles of the layers and of the read-out, in order.
    slider_ranges : ((int, int), (int, int))
        First and last class, first and last example.
    first_images : ndarray, (classes, height, width, channel)
        First image of each class.

    Raises
    ------
    ConversionError
        If the network has several inputs or outputs.
    SettingsError
        If ``network`` holds no neurons, or the images, classes or names do not fit it.
    """

    def __init__(
        self,
        network: ConvNetwork,
        x: np.ndarray,
        y: np.ndarray,
        class_names: Sequence[str] | None = None,
        examples: int = 10,
        label: str | None = None,
    ) -> None:
        super().__init__(label=label)
        _check_network(network)
        _check_ports(network.model)
        check_counts(examples=examples)
        x, y = as_images(network.model, x, y)
        y = class_numbers(network.model, len(x), y)
        n_outputs = network.model.size(network.model.output)
        n_classes = max(n_outputs, 2)  # one output is the score of class 1, and 0 that of class 0
        check_names(n_classes, "class", class_names=class_names)
        names = tuple(map(str, range(n_classes) if class_names is None else class_names))
        indices = [np.flatnonzero(y == number)[:examples] for number in np.unique(y)]
        images, classes = x[np.concatenate(indices)], y[np.concatenate(indices)]
        with self:
            self.choose_class = nengo.Node([classes[0]], label="class")
            self.choose_example = nengo.Node([0], label="example")
            self.shown = nengo.Node(_ChosenImage(classes), size_in=2, size_out=1, label="number of the image")
            nengo.Connection(self.choose_class, self.shown[0], synapse=None)
            nengo.Connection(self.choose_example, self.shown[1], synapse=None)
            with RestartingNetwork(self.shown, label="network") as self.trial:
                self.network = for_nengo(network)
                settings = network.settings
                averages = settings.accumulates or isinstance(settings, TrainableConfig)
                average = Average(n_classes) if averages else None
                self.scores = nengo.Node(average, size_in=n_classes, label="scores")
            self.network.label = "layers"
            del self.network.probes[:]  # their data would grow without limit
            self.image = self.network.input
            self.image.size_in, self.image.label = 1, "image"
            self.image.output = _Picture(
                images, [names[number] for number in classes], image_axes(network.model, network.model.input)
            )
            self.recognised = nengo.Node(
                _Recognized(names, classes), size_in=n_classes + 1, size_out=1, label="recognised"
            )
            nengo.Connection(self.shown, self.image, synapse=None)
            nengo.Connection(self.network.output, self.scores[n_classes - n_outputs :], synapse=None)
            nengo.Connection(self.scores, self.recognised[:-1], synapse=None)
            nengo.Connection(self.shown, self.recognised[-1], synapse=None)
        _escape_labels(self)
        self.slider_ranges = (int(classes[0]), int(classes[-1])), (0, max(map(len, indices)) - 1)
        self.first_images = x[[class_indices[0] for class_indices in indices]]
        self.spiking = tuple(ens for ens in _activity_ensembles(self.network) if ens.neuron_type.spiking)


def _check_network(network):
    check_not_own_network(network)
    if not isinstance(network, ConvNetwork):
        raise SettingsError(
            f"network must be a converted network, got {type(network).__name__}; a Model has no neurons: make a "
            "network of it with convert and to_spiking",
            argument="network",
        )
    check_unedited(network)


def _check_ports(model):
    """Raise ConversionError for a model with several inputs or outputs."""
    if has_several(model):
        kind, ports = ("inputs", model.inputs) if len(model.inputs) > 1 else ("outputs", model.outputs)
        raise ConversionError(
            f"the network has the {kind} {listed(ports, 8)}, and GuiNetwork shows one image and one set of classes: "
            f"open a script in Nengo GUI that connects nodes of your own to network.{kind}"
        )


def _escape_labels(network):
    """Replace HTML markup in labels, which Nengo GUI shows as HTML: names of layers can contain any text."""
    for obj in (network, *network.all_objects):
        if isinstance(obj.label, str):
            obj.label = printable(obj.label.translate(_LOOK_ALIKES))


def _activity_ensembles(network):
    """Return the ensembles of the layers and of the read-out, without those that represent a bias or relay spikes."""
    inputs_of_output = [connection.pre_obj for connection in network.connections if connection.post is network.output]
    objects = [*network.layers.values(), *inputs_of_output]
    ensembles = [obj.ensemble for obj in objects if isinstance(obj, nengo.ensemble.Neurons)]
    return [ensemble for ensemble in network.ensembles if ensemble in ensembles]


class _ChosenImage:
    """Node function from the values of the sliders to the index of an image.

    Parameters
    ----------
    classes : ndarray of int, (images,)
        Class of each image, sorted.
    """

    def __init__(self, classes):
        self.classes, self.first, self.counts = np.unique(classes, return_index=True, return_counts=True)

    def __call__(self, t, x):
        nearest = np.abs(self.classes - x[0]).argmin()
        return self.first[nearest] + np.clip(np.rint(x[1]), 0, self.counts[nearest] - 1)


class _Picture:
    """Node function from the index of an image to its pixels."""

    def __init__(self, images, captions, axes):
        self.images = images.reshape(len(images), -1).astype(float)
        low, high = min(0.0, images.min()), max(1.0, images.max())
        images = images.transpose(0, *(1 + axis for axis in axes))  # channel last
        self.pictures = [picture_svg(*each, low, high) for each in zip(images, captions, strict=True)]

    def __call__(self, t, x):
        index = int(x[0])
        self._nengo_html_ = self.pictures[index]
        return self.images[index]


class _Recognized:
    """Node function from the class scores and the index of the image to the recognized class."""

    def __init__(self, class_names, classes):
        self.class_names = class_names
        self.classes = classes

    def __call__(self, t, x):
        scores, index = x[:-1], int(x[-1])
        self._nengo_html_ = scores_svg(scores, self.class_names, self.classes[index])
        return np.argmax(scores)
