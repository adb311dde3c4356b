"""Checkpoints: all that a training needs to continue as if it had not been interrupted."""

import json
import pathlib

import numpy as np

from ..errors import FileFormatError, ModelError, SettingsError
from ..model.archive import read_arrays, write_arrays
from ..model.files import model_from_json, model_to_json
from ..model.metadata import check_metadata
from ..networks.storage import settings_to_json


class Checkpoint:
    """A file that holds the state of a training after its last complete epoch.

    ``nengo_snnconv.load`` reads it as the network of that epoch.

    Parameters
    ----------
    path : str or path
    run : dict
        What makes this training the same as the one in the file: settings, data, architecture; values are
        JSON-serialisable.
    """

    def __init__(self, path, run):
        self.path = pathlib.Path(path)
        self.run = run

    def write(self, network, optimizer_variables, state, best):
        """Write the state: the network, the optimiser, JSON-serialisable ``state``, and the ``best`` arrays or None."""
        sections = {"model": model_to_json(network.model), "network": settings_to_json(network.settings)}
        sections["training"] = {"run": self.run, **state}
        arrays = {f"model/{name}": array for name, array in network.model.arrays.items()}
        arrays |= {f"optimizer/{i}": variable.numpy() for i, variable in enumerate(optimizer_variables)}
        arrays |= {f"best/{name}": array for name, array in (best or {}).items()}
        write_arrays(self.path, sections, arrays)

    def read(self):
        """What was written: (arrays, optimiser values, state, best arrays), or None if there is no file.

        Raises
        ------
        SettingsError
            If the file belongs to another training.
        FileFormatError
            If the file is damaged or foreign.
        """
        if not self.path.exists():
            return None
        sections, arrays = read_arrays(self.path)
        state = sections.get("training")
        if state is None:
            raise SettingsError(f"{self.path} is a network, not a checkpoint of a training: choose another path")
        if not (isinstance(state, dict) and isinstance(state.get("run"), dict)):
            raise self._damaged("it does not say of which training it is")
        found = state.pop("run")
        different = sorted(key for key in self.run.keys() | found.keys() if self.run.get(key) != found.get(key))
        if different:
            changes = ", ".join(_change(key, found.get(key), self.run.get(key)) for key in different)
            raise SettingsError(
                f"the checkpoint {self.path} belongs to a different training: {changes}. "
                "Use the same settings to continue it, or remove the file, or choose another path"
            )
        groups = {"model": {}, "optimizer": {}, "best": {}}
        for name, array in arrays.items():
            group, _, key = name.partition("/")
            if group not in groups:
                raise self._damaged(f"no training has an array {name!r}")
            groups[group][key] = array
        model = model_from_json(self.path, sections.get("model"), arrays, "model/")
        if json.loads(json.dumps(model_to_json(model)["layers"])) != self.run["model"]:
            raise self._damaged("its model is not that of its training")
        if groups["best"]:
            try:
                model.replace(arrays=groups["best"])
            except ModelError as error:
                raise self._damaged(f"its best epoch does not fit its model: {error}") from error
        self._check_state(state, bool(groups["best"]))
        optimizer = [groups["optimizer"].get(str(i)) for i in range(len(groups["optimizer"]))]
        if any(values is None for values in optimizer):
            raise self._damaged("a part of the optimizer's state is missing")
        return groups["model"], optimizer, state, groups["best"] or None

    def restore(self, variables, values):
        """Assign saved values to an optimizer's variables; FileFormatError where they are not of such an optimizer."""
        if [tuple(variable.shape) for variable in variables] != [value.shape for value in values]:
            raise self._damaged("the optimizer's state does not fit the model")
        for variable, value in zip(variables, values, strict=True):
            variable.assign(np.asarray(value, variable.dtype.as_numpy_dtype))

    def _check_state(self, state, has_best):
        epoch, best_epoch, history = (state.get(name) for name in ("epoch", "best_epoch", "history"))
        counts = all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in (epoch, best_epoch))
        if not counts or epoch < 1 or best_epoch > epoch or has_best != (best_epoch > 0):
            raise self._damaged(f"it says that {epoch} epochs are done, and that {best_epoch} was the best")
        try:
            check_metadata({"history": history}, {})
        except ModelError as error:
            raise self._damaged(error) from error
        if min(map(len, history.values()), default=0) < epoch:
            raise self._damaged(f"its history does not hold {epoch} epochs")

    def _damaged(self, reason):
        return FileFormatError(
            f"the checkpoint {self.path} is damaged: {str(reason)[:300]}; remove it to begin the training anew, or use "
            "a copy"
        )


def _change(key, was, now):
    short = not isinstance(was, dict | list) and not isinstance(now, dict | list)
    return f"{key} (was {was}, is {now})" if short else key
