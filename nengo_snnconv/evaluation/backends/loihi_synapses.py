"""CompiledSynapses: the input that spikes cause on the emulated Loihi chip, in compiled code.

nengo-loihi's emulator loops over spikes in Python; the sums here are the same.
"""

import dataclasses

import numba
import numpy as np


@numba.njit(nogil=True)
def _add(sums, axons, atoms, bases, rows, first, targets, weights):
    """Add the weights of spikes, given by their axon and atom, to ``sums``, spike by spike."""
    for spike in range(len(axons)):
        base = bases[axons[spike]]
        if base >= 0:
            row = rows[axons[spike]] + atoms[spike]
            for i in range(first[row], first[row + 1]):
                sums[base + targets[i]] += weights[i]


@dataclasses.dataclass(frozen=True, eq=False)
class _Weights:
    """Weights of one Synapse of nengo-loihi in flat arrays.

    Attributes
    ----------
    bases : ndarray of int64, (axons,)
        Offset that is added to the targets of an axon; -1 for an axon without targets.
    rows : ndarray of int64, (axons,)
        First row of weights of an axon, which belongs to atom 0.
    first : ndarray of int64, (rows + 1,)
        Start of each row in ``targets`` and ``weights``.
    targets, weights : ndarray
        Target neuron, and weight, of each synapse.
    """

    bases: np.ndarray
    rows: np.ndarray
    first: np.ndarray
    targets: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(cls, synapse):
        """Return the weights of a Synapse."""
        axons = range(synapse.n_axons)
        begins = np.cumsum([0, *(len(weights) for weights in synapse.weights)])
        lengths = [len(row) for weights in synapse.weights for row in weights]
        bases = [synapse.axon_compartment_base(axon) for axon in axons]
        return cls(
            np.array([-1 if base is None else base for base in bases], np.int64),
            np.array([begins[synapse.axon_weight_idx(axon)] for axon in axons], np.int64),
            np.cumsum([0, *lengths], dtype=np.int64),
            np.concatenate([indices.ravel() for indices in synapse.indices]),
            np.concatenate([weights.ravel() for weights in synapse.weights]),
        )


class CompiledSynapses:
    """Replacement of two methods of ``SynapseState`` in nengo-loihi's emulator, with the same results.

    Parameters
    ----------
    blocks : iterable of LoihiBlock
        Blocks of a model without learning.
    """

    def __init__(self, blocks):
        self.weights = {synapse: _Weights.of(synapse) for block in blocks for synapse in block.synapses}

    def attach(self, emulator):
        """Replace the methods of a new EmulatorInterface."""
        self.slices, self.spikes = emulator.synapses.slices, []
        emulator.synapses.inject_current, emulator.synapses.update_input = self.inject_current, self.update_input

    def inject_current(self, t, spike_inputs, all_axons, spiked):
        """Collect the spikes that arrive in step ``t``, those of the host first."""
        self.spikes = []
        if t >= 2:  # spikes of the host take a step to arrive
            for spike_input in spike_inputs:
                self._collect(spike_input.axons, spike_input.spike_idxs(t - 1))
        for axon, place in all_axons.items():
            self._collect([axon], np.flatnonzero(spiked[place]))

    def _collect(self, group, neurons):
        """Collect the spikes of ``neurons`` on each of a group of axons."""
        neurons = np.asarray(neurons, np.int64)
        for axon in group if len(neurons) else ():
            axons, atoms = np.asarray(axon.map_axon(neurons)), np.asarray(axon.map_atoms(neurons))
            used = axons >= 0
            self.spikes.append((axon.target, axons[used], atoms[used]))

    def update_input(self, sums):
        """Add the weights of all collected spikes to ``sums``, (1, neurons)."""
        for synapse, axons, atoms in self.spikes:
            weights = self.weights[synapse]
            arrays = weights.bases, weights.rows, weights.first, weights.targets, weights.weights
            _add(sums[0, self.slices[synapse]], axons, atoms, *arrays)
