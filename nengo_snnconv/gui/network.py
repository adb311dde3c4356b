"""GuiNetwork: a converted network that looks at one image after another, as sliders say, for Nengo GUI."""

import nengo
import numpy as np

from .._util.printable import printable
from .._util.validation import check_classes, check_counts, check_images, check_names
from ..errors import ConversionError, SettingsError
from ..model.image_axes import image_axes
from ..networks.edits import check_unedited
from ..networks.network import ConvNetwork, NativeBase
from .trial import Average, Trial
from .views import picture_svg, scores_svg

# HTML has a meaning for these, and Nengo GUI does not escape them
_LOOK_ALIKES = str.maketrans("<>&\"'`", "‹›＆”’‘")


class GuiNetwork(nengo.Network):
    """A converted network with images whose class can be changed while it runs, to be opened in Nengo GUI.

    When another image is chosen, the network begins anew, as if the image were the first one: its answer is that of
    ``evaluate`` after as many steps.  The class with the largest mean score since then is what it recognises; of equal
    scores, the first.

    A network of time to first spike tells its scores in the last of its stages, without a mean.  When they are over, it
    is at rest until another image is chosen.

    A script that sets ``model = GuiNetwork(...)`` opens with ``nengo script.py``;
    :func:`nengo_snnconv.write_gui_script` writes one, with a layout that shows all of it at once.

    Parameters
    ----------
    network : ConvNetwork
        Made by ``convert``, ``to_spiking`` or ``to_ttfs``.  A copy of it is shown.
    x : ndarray, (images, height, width, channel)
    y : ndarray of int, (images,)
        Their classes.
    class_names : sequence of str, optional
        Their numbers by default.
    examples : int
        Images of each class to choose from: the first so many of it.

    Attributes
    ----------
    choose_class : nengo.Node
        A constant to be moved by a slider.  The nearest class of which there is an image is shown.
    choose_example : nengo.Node
        The same for the place of the image among those of its class, from 0.
    shown : nengo.Node
        Number of the image that is shown, among those to choose from, class by class.
    image : nengo.Node
        Its pixels.  Nengo GUI's HTML view of it is the picture.
    trial : nengo.Network
        What begins anew with each image: ``image``, ``network`` and ``scores``.
    network : ConvNetwork
        The copy.
    scores : nengo.Node
        The mean of the class scores since the image appeared; the scores themselves for time to first spike.
    recognised : nengo.Node
        Number of the class with the largest one.  Nengo GUI's HTML view says it in words, with the scores as bars.
    spiking : tuple of nengo.Ensemble
        Those that spike, in order: of layers, and of the read-out.
    slider_ranges : ((int, int), (int, int))
        First and last class, first and last example.
    first_images : ndarray, (classes, height, width, channel)
        The first image of each class.

    Raises
    ------
    ConversionError
        If the network was made by ``build_trainable``: Nengo GUI cannot run it.
    SettingsError
        If ``network`` holds no neurons, or the images, classes or names do not fit it.
    """

    def __init__(self, network, x, y, class_names=None, examples=10, label=None):
        super().__init__(label=label)
        _check_network(network)
        check_counts(examples=examples)
        x = check_images(network.model, x)
        y = check_classes(network.model, len(x), y)
        n_classes = network.model.size(network.model.output)
        check_names(n_classes, "class", class_names=class_names)
        names = tuple(map(str, range(n_classes) if class_names is None else class_names))
        numbers = [np.flatnonzero(y == each)[:examples] for each in np.unique(y)]
        images, classes = x[np.concatenate(numbers)], y[np.concatenate(numbers)]
        with self:
            self.choose_class = nengo.Node([classes[0]], label="class")
            self.choose_example = nengo.Node([0], label="example")
            self.shown = nengo.Node(_Choice(classes), size_in=2, size_out=1, label="number of the image")
            nengo.Connection(self.choose_class, self.shown[0], synapse=None)
            nengo.Connection(self.choose_example, self.shown[1], synapse=None)
            with Trial(self.shown, label="network") as self.trial:
                self.network = network.rebuild()
                average = Average(n_classes) if network.settings.accumulates else None
                self.scores = nengo.Node(average, size_in=n_classes, label="scores")
            self.network.label = "layers"
            del self.network.probes[:]  # they would fill the memory
            self.image = self.network.input
            self.image.size_in, self.image.label = 1, "image"
            self.image.output = _Picture(
                images, [names[each] for each in classes], image_axes(network.model, network.model.input)
            )
            self.recognised = nengo.Node(
                _Verdict(names, classes), size_in=n_classes + 1, size_out=1, label="recognised"
            )
            nengo.Connection(self.shown, self.image, synapse=None)
            nengo.Connection(self.network.output, self.scores, synapse=None)
            nengo.Connection(self.scores, self.recognised[:-1], synapse=None)
            nengo.Connection(self.shown, self.recognised[-1], synapse=None)
        _make_labels_plain(self)
        self.slider_ranges = (int(classes[0]), int(classes[-1])), (0, max(map(len, numbers)) - 1)
        self.first_images = x[[each[0] for each in numbers]]
        self.spiking = tuple(each for each in _shown_ensembles(self.network) if each.neuron_type.spiking)


def _check_network(network):
    if not isinstance(network, ConvNetwork):
        raise SettingsError(
            f"GuiNetwork takes a network, got {type(network).__name__}: a Model has no neurons, make a network of it "
            "with convert and to_spiking"
        )
    check_unedited(network)
    if not isinstance(network.settings, NativeBase):
        raise ConversionError(
            "Nengo GUI runs nengo's own simulator, which cannot run networks made by build_trainable, as only NengoDL "
            "has their TensorNodes: open a network made by convert"
        )


def _make_labels_plain(network):
    """Replace what Nengo GUI, which shows labels as HTML, would take for markup: names of layers may hold anything."""
    for each in (network, *network.all_objects):
        if isinstance(each.label, str):
            each.label = printable(each.label.translate(_LOOK_ALIKES))


def _shown_ensembles(network):
    """The ensembles of layers and of the read-out: not those that stand for a bias, or send spikes again."""
    objects = [*network.layers.values(), *(each.pre_obj for each in network.connections if each.post is network.output)]
    shown = [each.ensemble for each in objects if isinstance(each, nengo.ensemble.Neurons)]
    return [each for each in network.ensembles if each in shown]


class _Choice:
    """From the values of the sliders to the number of an image; ``classes`` are those of the images, in order."""

    def __init__(self, classes):
        self.classes, self.first, self.counts = np.unique(classes, return_index=True, return_counts=True)

    def __call__(self, t, x):
        nearest = np.abs(self.classes - x[0]).argmin()
        return self.first[nearest] + np.clip(np.rint(x[1]), 0, self.counts[nearest] - 1)


class _Picture:
    """From the number of an image to its pixels."""

    def __init__(self, images, captions, axes):
        self.images = images.reshape(len(images), -1).astype(float)
        low, high = min(0.0, images.min()), max(1.0, images.max())
        images = images.transpose(0, *(1 + axis for axis in axes))  # the channel at the end
        self.pictures = [picture_svg(*each, low, high) for each in zip(images, captions, strict=True)]

    def __call__(self, t, x):
        number = int(x[0])
        self._nengo_html_ = self.pictures[number]
        return self.images[number]


class _Verdict:
    """From class scores and the number of the image to the class that is recognised."""

    def __init__(self, class_names, classes):
        self.class_names = class_names
        self.classes = classes

    def __call__(self, t, x):
        scores, number = x[:-1], int(x[-1])
        self._nengo_html_ = scores_svg(scores, self.class_names, self.classes[number])
        return np.argmax(scores)
