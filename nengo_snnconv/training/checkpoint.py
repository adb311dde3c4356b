"""Checkpoints: all that a training needs to continue as if it had not been interrupted."""

import pathlib

import numpy as np

from ..build.storage import settings_to_json
from ..exceptions import SettingsError
from ..model.archive import read_arrays, write_arrays
from ..model.files import model_to_json


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
            groups[group][key] = array
        optimizer = [groups["optimizer"][str(i)] for i in range(len(groups["optimizer"]))]
        return groups["model"], optimizer, state, groups["best"] or None


def _change(key, was, now):
    short = not isinstance(was, dict | list) and not isinstance(now, dict | list)
    return f"{key} (was {was}, is {now})" if short else key


def restore(variables, values):
    """Assign saved values to an optimiser's variables."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(np.asarray(value, variable.dtype.as_numpy_dtype))
