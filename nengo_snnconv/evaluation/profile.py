"""profile: where the fast simulator spends its time, layer by layer."""

from __future__ import annotations

import dataclasses
import typing

import numpy as np

from .._util.display import Displayed
from .._util.text_tables import counted, summary_line, text_table
from ..inputs import Data, as_inputs
from ..networks.context import adds_result_only
from ..networks.network import check_network
from ..simulator.profiling import profile_operations
from .run_options import RunOptions, run_length
from .runner import Runner

if typing.TYPE_CHECKING:
    from ..networks.network import ConvNetwork
    from ..simulator.profiling import OperationProfile

REST = "counts and scores"


@dataclasses.dataclass(frozen=True)
class LayerProfile:
    """Time and memory that a layer takes in the fast simulator; times are for one image and step.

    Attributes
    ----------
    connections, neurons : float
        Seconds for the weighted input of the layer, and for its neurons.
    events_read : float
        Number of spikes, or of other values that are not zero, whose weights are added.
    weight_bytes : int
        Size of its weights.
    state_bytes : int
        Size of its membrane potentials and other states, for each image of a minibatch.
    signal_bytes : int
        Size of its input and spikes in a chunk of steps, for each thread.
    """

    connections: float
    neurons: float
    events_read: float
    weight_bytes: int
    state_bytes: int
    signal_bytes: int

    @property
    def seconds(self) -> float:
        """Seconds for the layer."""
        return self.connections + self.neurons


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Profile(Displayed):
    """Result of :func:`profile`.  Times are for one image and step, on one thread.

    Attributes
    ----------
    n_images, n_steps : int
        Numbers of images and of steps that were run.
    operations : tuple of OperationProfile
        Operations of the simulator in the order in which they run.
    layers : dict of str to LayerProfile
        Sums by layer, in order.  Layers without neurons belong to the neurons behind them.
    """

    n_images: int
    n_steps: int
    operations: tuple[OperationProfile, ...]

    @property
    def layers(self) -> dict[str, LayerProfile]:
        found: dict[str, LayerProfile] = {}
        for each in self.operations:
            if each.kind == "probes":
                continue
            before = found.get(each.layer, LayerProfile(0.0, 0.0, 0.0, 0, 0, 0))
            adds = each.name in ("scatter", "gather", "convolve", "depthwise")
            found[each.layer] = LayerProfile(
                before.connections + (each.seconds if each.kind == "connections" else 0.0),
                before.neurons + (each.seconds if each.kind == "neurons" else 0.0),
                before.events_read + (each.events_read if adds else 0.0),
                before.weight_bytes + each.weight_bytes,
                before.state_bytes + each.state_bytes,
                before.signal_bytes + each.signal_bytes,
            )
        return found

    @property
    def seconds(self) -> float:
        """Seconds for all layers, counts and scores."""
        return sum(each.seconds for each in self.operations)

    def _headline(self):
        run = f"{counted(self.n_images, 'image')}, {counted(self.n_steps, 'step')}"
        return f"{run}, {1e6 * self.seconds:.1f} µs per image and step"

    def _tables(self):
        return [self.rows()]

    def rows(self) -> list[tuple[str, ...]]:
        """Return the results as rows of text, a header first."""
        header = ("layer", "µs", "share", "connections", "neurons", "spikes read", "weights", "states", "signals")
        rows: list[tuple[str, ...]] = [header]
        total = max(self.seconds, 1e-12)
        for name, layer in self.layers.items():
            rows.append(
                (
                    name,
                    f"{1e6 * layer.seconds:.2f}",
                    f"{100 * layer.seconds / total:.1f} %",
                    f"{1e6 * layer.connections:.2f}",
                    f"{1e6 * layer.neurons:.2f}",
                    f"{layer.events_read:,.1f}",
                    *(f"{size / 1000:,.1f} kB" for size in (layer.weight_bytes, layer.state_bytes, layer.signal_bytes)),
                )
            )
        rest = sum(each.seconds for each in self.operations if each.kind == "probes")
        rows.append((REST, f"{1e6 * rest:.2f}", f"{100 * rest / total:.1f} %", *[""] * 6))
        rows.append(("all", f"{1e6 * total:.2f}", "100.0 %", *[""] * 6))
        return rows

    def summary(self) -> str:
        """Return a table of the layers as text."""
        run = f"{counted(self.n_images, 'image')}, {counted(self.n_steps, 'step')}; per image and step, on one thread"
        return f"{summary_line('profile', run)}\n{text_table(self.rows())}"

    def to_dict(self) -> dict:
        """Return the results as JSON-serializable values; times in seconds."""
        return {
            "n_images": self.n_images,
            "n_steps": self.n_steps,
            "seconds": self.seconds,
            "layers": {
                name: dataclasses.asdict(layer) | {"seconds": layer.seconds} for name, layer in self.layers.items()
            },
            "operations": [dataclasses.asdict(each) for each in self.operations],
        }


@adds_result_only
def profile(
    network: ConvNetwork,
    x: Data,
    *,
    n_steps: int | None = None,
    dt: float = 0.001,
    precision: str = "float32",
) -> Profile:
    """Measure the time and the memory that each layer takes in the fast simulator.

    The images run with one operation of the simulator at a time, on one thread, after a run that is not measured.
    Spikes are counted as in ``evaluate``.

    Parameters
    ----------
    network : ConvNetwork
    x : ndarray, (images, height, width, channel), or Recordings, Inputs or a data set
        As for :func:`evaluate`; 50 images are enough in most cases.
    n_steps : int, optional
        Number of time steps; by default as in :func:`evaluate`.
    dt : float
        Seconds per step.
    precision : "float32" or "bfloat16"
        Precision of weights; see :class:`Simulator`.

    Returns
    -------
    Profile

    Raises
    ------
    SettingsError
        If an argument has an invalid value, or the data do not fit the network.
    ConversionError
        If the fast simulator cannot run the network.

    Examples
    --------
    >>> print(nengo_snnconv.profile(network, x[:50], n_steps=30).summary())
    """
    check_network(network)
    options = RunOptions(backend="fast", dt=dt, precision=precision, threads=1)
    inputs = as_inputs(network.model, x, n_steps)
    n_steps = run_length(network, n_steps, inputs)
    images = inputs.batch(slice(None))
    images = np.ascontiguousarray(images.reshape(len(images), inputs.n_steps or 1, -1), np.float32)
    with Runner(network, n_steps, len(images), options, with_activity=False, minibatch_size=len(images)) as runner:
        backend = runner.simulator
        for _ in range(2):
            operations = profile_operations(backend.simulator, n_steps, {backend.network.input: images}, len(images))
    return Profile(len(images), n_steps, tuple(operations))
