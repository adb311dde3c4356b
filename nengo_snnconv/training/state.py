"""TrainingState: the network, the history and the best epoch after a number of epochs."""

from __future__ import annotations

import copy
import math
import typing

if typing.TYPE_CHECKING:
    import numpy as np

    from ..networks.network import ConvNetwork
    from .checkpoint import SavedTraining


class TrainingState:
    """Result of a training so far.

    Parameters
    ----------
    network : ConvNetwork
        Network before the training.
    saved : SavedTraining or None
        Content of a checkpoint to continue from.
    settings : dict
        Settings of the training for the metadata, from ``describe_settings``.
    warmup_epochs : int
        Number of first epochs that early stopping ignores.

    Attributes
    ----------
    network : ConvNetwork
        Network after the last complete epoch.
    history : dict of str to list
        Values of each epoch, those of earlier trainings included.
    epoch : int
        Number of complete epochs.
    best_epoch : int
        Epoch (1-based) with the lowest validation loss; 0 if there is none, or without early stopping.
    best_arrays : dict of str to ndarray, or None
        Arrays after that epoch.
    """

    def __init__(self, network: ConvNetwork, saved: SavedTraining | None, settings: dict, warmup_epochs: int = 0):
        self.patience, self.warmup_epochs = settings["early_stopping"], warmup_epochs
        self.added_metadata = {"training": [*network.model.metadata.get("training", []), settings]}
        if "n_steps" in settings:
            self.added_metadata["n_steps"] = settings["n_steps"]
        self.epoch, self.best_epoch = 0, 0
        self.best_arrays: dict[str, np.ndarray] | None = None
        self.network = network
        self.history = network.history
        if saved:
            self.epoch, self.best_epoch = saved.progress["epoch"], saved.progress["best_epoch"]
            self.history, self.best_arrays = saved.progress["history"], saved.best_arrays
            self.network = self._network_with(saved.arrays)

    def _network_with(self, arrays):
        metadata = {**self.network.model.metadata, **self.added_metadata, "history": copy.deepcopy(self.history)}
        metadata.pop("quantization", None)  # of weights that are no longer integers
        return self.network.rebuild(self.network.model.replace(arrays=arrays, metadata=metadata))

    def after_epoch(self, arrays: dict, values: dict) -> TrainingState:
        """Return the state after one more epoch.

        Parameters
        ----------
        arrays : dict of str to ndarray
            Arrays of the network after the epoch.
        values : dict of str to float
            Values for the history, such as "loss".
        """
        state = copy.copy(self)
        n_before = max((len(column) for column in self.history.values()), default=0)
        names = [*self.history, *(name for name in values if name not in self.history)]
        state.history = {name: [*self.history.get(name, [None] * n_before), values.get(name)] for name in names}
        state.epoch += 1
        losses = state.history.get("val_loss", [])[-state.epoch :][self.warmup_epochs :]
        if self.patience is not None and losses and losses[-1] < min(losses[:-1], default=math.inf):
            state.best_arrays, state.best_epoch = arrays, state.epoch
        state.network = state._network_with(arrays)
        return state

    def progress(self) -> dict:
        """Return the part of the state that a checkpoint holds as JSON."""
        return {"epoch": self.epoch, "best_epoch": self.best_epoch, "history": self.history}

    def is_finished(self, epochs: int) -> bool:
        """Return whether all epochs are complete, or early stopping applies."""
        n_without_progress = self.epoch - max(self.best_epoch, self.warmup_epochs)
        stopped = self.patience is not None and n_without_progress >= self.patience and self.epoch > 0
        return self.epoch >= epochs or stopped

    def final_network(self) -> ConvNetwork:
        """Return the network of the best epoch with early stopping, else that of the last epoch."""
        return self.network if self.best_arrays is None else self._network_with(self.best_arrays)
