"""nir_losses: what a network would do in a simulator that follows the equations of NIR, property by property."""

from __future__ import annotations

import dataclasses

import numpy as np

from .._util.display import Displayed
from .._util.json_values import to_python
from .._util.text_tables import counted, text_table
from .._util.validation import check_counts
from ..conversion.convert import convert
from ..evaluation.record import record
from ..inputs import Data, as_inputs
from ..networks.context import adds_result_only
from ..networks.network import ConvNetwork, check_network
from ..networks.nir_form import lost_in_nir, model_of
from ..networks.trainable import TrainableConfig
from ..neurons.arguments import replaced
from ..neurons.integrate_and_fire import IntegrateAndFire

BATCH = 20  # images that are recorded together

# property -> changes of IntegrateAndFire, and of SurrogateLIF, for neurons that follow NIR
CHANGES = {
    "reset by subtraction": ({"reset": "zero"}, {"reset": "value"}),
    "initial potential": ({"initial_potential": 0.0}, {}),
}


@dataclasses.dataclass(frozen=True)
class NIRLoss:
    """Effect of a property that NIR does not have.

    Attributes
    ----------
    lost : str
        Name of the property, or "all together".
    score_error : float
        Largest difference of the mean scores, relative to the largest score.
    spike_error : int
        Largest difference of the number of spikes of a neuron.
    changed : int
        Number of images of another class.
    """

    lost: str
    score_error: float
    spike_error: int
    changed: int


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class NIRLosses(Displayed):
    """Result of :func:`nir_losses`.

    Attributes
    ----------
    losses : tuple of NIRLoss
        Effect of each property that is lost, and of all together; empty if nothing is lost.
    remarks : tuple of str
        What is lost, in words: ``to_nir(network).metadata["lost"]``.
    images, n_steps : int
        Number of images, and of time steps.
    """

    losses: tuple[NIRLoss, ...]
    remarks: tuple[str, ...]
    images: int
    n_steps: int

    def _headline(self):
        run = f"{counted(self.images, 'image')} and {counted(self.n_steps, 'step')}"
        return f"{len(self.losses)} properties lost, on {run}"

    def to_dict(self) -> dict:
        """Return the results as JSON-serializable values."""
        return to_python(dataclasses.asdict(self))

    def summary(self) -> str:
        """Return a table of the losses as text."""
        if not self.losses:
            return "nothing is lost: a simulator that follows NIR gives the same spikes"
        header = ("not in NIR", "largest error of a score", "of a spike count", f"other class, of {self.images}")
        rows = [
            (loss.lost, f"{100 * loss.score_error:.1f} %", f"{loss.spike_error}", f"{loss.changed}")
            for loss in self.losses
        ]
        return text_table([header, *rows])


@adds_result_only
def nir_losses(network: ConvNetwork, x: Data, *, n_steps: int) -> NIRLosses:
    """Measure what a network loses in a simulator that follows the equations of NIR.

    NIR resets potentials to a value and has no initial potential.  Each is measured by itself, on the network with
    neurons that have the property of NIR instead.  Simulators may have other neurons: those of sinabs subtract the
    threshold, for instance.

    Parameters
    ----------
    network : ConvNetwork
        Network that ``write_nir`` takes.
    x : ndarray, (images, height, width, channel), frames, Inputs or a data set
        Images on which to compare, some hundred.
    n_steps : int
        Number of time steps.

    Returns
    -------
    NIRLosses

    Raises
    ------
    ConversionError
        If NIR has nothing for the neurons of the network.
    SettingsError
        If an argument has an invalid value.

    Examples
    --------
    >>> print(snc.nir_losses(snn, data.x_test[:100], n_steps=32).summary())
    """
    check_counts(n_steps=n_steps)
    check_network(network)
    model_of(network)  # raises for neurons that NIR lacks
    inputs = as_inputs(network.model, x, n_steps)
    if isinstance(network.settings, TrainableConfig):
        network = convert(network)
    remarks, expected = tuple(lost_in_nir(network)), _run(network, inputs, n_steps)
    losses: list[NIRLoss] = []
    wanted = {name: [name] for name in CHANGES} | {"all together": list(CHANGES)}
    for title, names in wanted.items():
        changed = _following_nir(network, names)
        if changed is not None and (len(names) == 1 or len(losses) > 1):
            losses.append(_difference(title, expected, _run(changed, inputs, n_steps)))
    return NIRLosses(tuple(losses), remarks, len(inputs), n_steps)


def _following_nir(network, names):
    """Return the network with some properties of NIR; None if it has them already."""
    settings = network.settings
    types = getattr(settings, "neuron_types", ())
    before = (settings.neuron_type, *types)
    after = tuple(_changed(neuron_type, names) for neuron_type in before)
    if after == before:
        return None
    changes = {"neuron_types": after[1:]} if types else {}
    return network.rebuild(neuron_type=after[0], **changes)


def _changed(neuron_type, names):
    place = 0 if isinstance(neuron_type, IntegrateAndFire) else 1
    changes = {key: value for name in names for key, value in CHANGES[name][place].items()}
    return replaced(neuron_type, **changes)


def _run(network, inputs, n_steps):
    """Return (mean scores, spikes of each neuron) of each input, as two arrays."""
    scores, spikes = [], []
    for start in range(0, len(inputs), BATCH):
        recording = record(network, inputs.take(slice(start, start + BATCH)), n_steps=n_steps)
        scores.append(recording.output.mean(axis=1))
        layers = [recording.spikes[name].sum(axis=1) for name in network.model.neurons]
        spikes.append(np.concatenate(layers, axis=1) if layers else np.zeros((len(scores[-1]), 1)))
    return np.concatenate(scores), np.concatenate(spikes)


def _difference(title, expected, found):
    scale = np.abs(expected[0]).max()
    score_error = float(np.abs(found[0] - expected[0]).max() / scale) if scale else 0.0
    changed = int(np.sum(found[0].argmax(axis=1) != expected[0].argmax(axis=1)))
    return NIRLoss(title, score_error, int(np.abs(found[1] - expected[1]).max()), changed)
