"""Where the states of neurons and filters lie in the memory of an image."""

import numpy as np

from ..program import padded


class StateLayout:
    """Where the states of neurons and filters lie in the memory of an image, and their initial values.

    Attributes
    ----------
    begins : dict
        Where the states of each key begin.
    initial : dict of ndarray of float32, (states, units)
        Initial states of each key.
    size : int
        Number of entries of an image's memory.
    item_numbers : list of (int, int)
        Begin and length of states that hold the number of the image in its minibatch.
    """

    def __init__(self):
        self.begins, self.initial, self.size, self.item_numbers = {}, {}, 0, []

    def allocate(self, key, states):
        """Return where the states of a key begin; make room for ``states``, (states, units), at the first call."""
        if key not in self.begins:
            self.begins[key], self.initial[key] = self.size, states
            self.size += len(states) * padded(states.shape[1])
        assert self.initial[key].shape == states.shape, "programs of a network share the memory of its states"
        return self.begins[key]

    def bytes_by_begin(self):
        """Return the size of the states of each key in the memory of an image, by where they begin."""
        return {self.begins[key]: 4 * len(states) * padded(states.shape[1]) for key, states in self.initial.items()}

    def mask(self, chosen):
        """Return which entries of the memory of an image hold states whose key is ``chosen(key)``, ndarray of bool."""
        mask = np.zeros(padded(max(self.size, 1)), bool)
        ends = [*self.begins.values(), self.size][1:]
        for (key, begin), end in zip(self.begins.items(), ends, strict=True):
            mask[begin:end] = chosen(key)
        return mask

    def initial_memory(self, first_item=0):
        """Return the initial states of an image, float32 (numbers,), for a run whose first image has this number."""
        memory = np.zeros(padded(max(self.size, 1)), np.float32)
        for key, states in self.initial.items():
            for k, state in enumerate(states):
                begin = self.begins[key] + k * padded(len(state))
                memory[begin : begin + len(state)] = state
        for begin, size in self.item_numbers:
            memory[begin : begin + size] += first_item
        return memory
