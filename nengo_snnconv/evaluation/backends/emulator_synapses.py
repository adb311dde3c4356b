"""What spikes add to the neurons of the chip, as nengo_loihi's emulator adds it, but compiled: it loops over spikes."""

import dataclasses

import numba
import numpy as np


@numba.njit(nogil=True)
def _add(sums, axons, atoms, bases, rows, first, targets, weights):
    """Add the weights of spikes, which come on ``axons`` and are of the kinds ``atoms``, to ``sums``, one by one."""
    for spike in range(len(axons)):
        base = bases[axons[spike]]
        if base >= 0:
            row = rows[axons[spike]] + atoms[spike]
            for i in range(first[row], first[row + 1]):
                sums[base + targets[i]] += weights[i]


@dataclasses.dataclass(frozen=True, eq=False)
class _Weights:
    """The weights of one Synapse of nengo_loihi in flat arrays.

    Attributes
    ----------
    bases : ndarray of int64, (axons,)
        What is added to the targets of an axon; -1 for an axon that has none.
    rows : ndarray of int64, (axons,)
        The first row of weights of an axon, that of atom 0.
    first : ndarray of int64, (rows + 1,)
        Where each row begins.
    targets, weights : ndarray
    """

    bases: np.ndarray
    rows: np.ndarray
    first: np.ndarray
    targets: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(cls, synapse):
        n_axons = range(synapse.n_axons)
        begins = np.cumsum([0, *(len(weights) for weights in synapse.weights)])
        lengths = [len(row) for weights in synapse.weights for row in weights]
        bases = [synapse.axon_compartment_base(axon) for axon in n_axons]
        return cls(
            np.array([-1 if base is None else base for base in bases], np.int64),
            np.array([begins[synapse.axon_weight_idx(axon)] for axon in n_axons], np.int64),
            np.cumsum([0, *lengths], dtype=np.int64),
            np.concatenate([indices.ravel() for indices in synapse.indices]),
            np.concatenate([weights.ravel() for weights in synapse.weights]),
        )


class CompiledSynapses:
    """Takes the place of two methods of ``nengo_loihi.emulator``'s SynapseState, with the same results.

    Parameters
    ----------
    blocks : iterable of LoihiBlock
        Of a model without learning.
    """

    def __init__(self, blocks):
        self.weights = {synapse: _Weights.of(synapse) for block in blocks for synapse in block.synapses}

    def attach(self, emulator):
        """Let an EmulatorInterface, which has just been made, use them."""
        self.slices, self.spikes = emulator.synapses.slices, []
        emulator.synapses.inject_current, emulator.synapses.update_input = self.inject_current, self.update_input

    def inject_current(self, t, spike_inputs, all_axons, spiked):
        """Note which spikes arrive, those of the host first."""
        self.spikes = []
        if t >= 2:  # those of the host take a step to arrive
            for spike_input in spike_inputs:
                self._note(spike_input.axons, spike_input.spike_idxs(t - 1))
        for axon, place in all_axons.items():
            self._note([axon], np.flatnonzero(spiked[place]))

    def _note(self, group, neurons):
        neurons = np.asarray(neurons, np.int64)
        for axon in group if len(neurons) else ():
            axons, atoms = np.asarray(axon.map_axon(neurons)), np.asarray(axon.map_atoms(neurons))
            used = axons >= 0
            self.spikes.append((axon.target, axons[used], atoms[used]))

    def update_input(self, sums):
        """Add the weights of all spikes to ``sums``, (1, neurons)."""
        for synapse, axons, atoms in self.spikes:
            weights = self.weights[synapse]
            arrays = weights.bases, weights.rows, weights.first, weights.targets, weights.weights
            _add(sums[0, self.slices[synapse]], axons, atoms, *arrays)
