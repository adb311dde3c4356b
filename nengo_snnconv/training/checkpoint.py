"""Checkpoints: files from which an interrupted training continues."""

from __future__ import annotations

import json
import os
import pathlib
import typing

import numpy as np

from .._util.validation import check_paths
from ..errors import FileFormatError, ModelError, SettingsError
from ..model.archive import read_arrays, write_arrays
from ..model.files import model_from_json, model_to_json
from ..model.metadata import check_metadata
from ..networks.storage import settings_to_json
from .optimizers import in_digits_of_float32

if typing.TYPE_CHECKING:
    from ..networks.network import ConvNetwork


class SavedTraining(typing.NamedTuple):
    """Content of a checkpoint.

    Attributes
    ----------
    arrays : dict of str to ndarray
        Arrays of the network after the last complete epoch.
    optimizer : list of ndarray
        Values of the optimizer's variables.
    progress : dict
        "epoch", "best_epoch" and "history".
    best_arrays : dict of str to ndarray, or None
        Arrays after the best epoch.
    """

    arrays: dict[str, np.ndarray]
    optimizer: list[np.ndarray]
    progress: dict
    best_arrays: dict[str, np.ndarray] | None


class Checkpoint:
    """File with the state of a training after its last complete epoch.

    ``nengo_snnconv.load`` reads it as the network after that epoch.

    Parameters
    ----------
    path : str or path
    run : dict
        JSON-serializable description of the training: settings, data and architecture.  Only a training with the same
        description may continue from the file.
    """

    def __init__(self, path: str | os.PathLike, run: dict):
        self.path = pathlib.Path(path)
        self.run = run

    def write(
        self, network: ConvNetwork, optimizer_variables: list, progress: dict, best_arrays: dict[str, np.ndarray] | None
    ) -> None:
        """Write the state of a training to the file.

        Parameters
        ----------
        network : ConvNetwork
            Network after the last complete epoch.
        optimizer_variables : list of tf.Variable
        progress : dict
            JSON-serializable; see :class:`SavedTraining`.
        best_arrays : dict of str to ndarray, or None
        """
        sections = {"model": model_to_json(network.model), "network": settings_to_json(network.settings)}
        sections["training"] = {"run": self.run, **progress}
        arrays = {f"model/{name}": array for name, array in network.model.arrays.items()}
        arrays |= {f"optimizer/{i}": variable.numpy() for i, variable in enumerate(optimizer_variables)}
        arrays |= {f"best/{name}": array for name, array in (best_arrays or {}).items()}
        write_arrays(self.path, sections, arrays)

    def read(self) -> SavedTraining | None:
        """Return the content of the file, or None if there is no file.

        Raises
        ------
        SettingsError
            If the file belongs to another training.
        FileFormatError
            If the file is damaged or not a checkpoint.
        """
        if not self.path.exists():
            return None
        sections, arrays = read_arrays(self.path)
        progress = sections.get("training")
        if progress is None:
            raise SettingsError(
                f"{self.path} is a network, not a checkpoint of a training: choose another path", argument="checkpoint"
            )
        if not (isinstance(progress, dict) and isinstance(progress.get("run"), dict)):
            raise self._damaged("the description of its training is missing")
        check_same_run(self.path, progress.pop("run"), self.run)
        groups: dict[str, dict] = {"model": {}, "optimizer": {}, "best": {}}
        for name, array in arrays.items():
            group, _, key = name.partition("/")
            if group not in groups:
                raise self._damaged(f"it has an unknown array {name!r}")
            groups[group][key] = array
        self._check_model(sections.get("model"), arrays, groups["best"])
        self._check_progress(progress, bool(groups["best"]))
        optimizer = [groups["optimizer"].get(str(i)) for i in range(len(groups["optimizer"]))]
        if any(values is None for values in optimizer):
            raise self._damaged("a variable of the optimizer is missing")
        return SavedTraining(groups["model"], typing.cast(list, optimizer), progress, groups["best"] or None)

    def restore(self, variables: list, values: list[np.ndarray]) -> None:
        """Assign saved values to the variables of an optimizer.

        Raises
        ------
        FileFormatError
            If the shapes differ.
        """
        if [tuple(variable.shape) for variable in variables] != [value.shape for value in values]:
            raise self._damaged("the optimizer's variables do not fit the model")
        for variable, value in zip(variables, values, strict=True):
            variable.assign(np.asarray(value, variable.dtype.as_numpy_dtype))

    def _check_model(self, section, arrays, best_arrays):
        model = model_from_json(self.path, section, arrays, "model/")
        if json.loads(json.dumps(model_to_json(model)["layers"])) != self.run["model"]:
            raise self._damaged("its model differs from the description of its training")
        if best_arrays:
            try:
                model.replace(arrays=best_arrays)
            except ModelError as error:
                raise self._damaged(f"the arrays of its best epoch do not fit its model: {error}") from error

    def _check_progress(self, progress, has_best):
        epoch, best_epoch, history = (progress.get(name) for name in ("epoch", "best_epoch", "history"))
        are_counts = all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in (epoch, best_epoch))
        if not are_counts or epoch < 1 or best_epoch > epoch or has_best != (best_epoch > 0):
            raise self._damaged(f"epoch={epoch} and best_epoch={best_epoch} are inconsistent")
        try:
            check_metadata({"history": history}, {})
        except ModelError as error:
            raise self._damaged(error) from error
        if min(map(len, history.values()), default=0) < epoch:
            raise self._damaged(f"its history is shorter than {epoch} epochs")

    def _damaged(self, reason):
        return FileFormatError(
            f"the checkpoint {self.path} is damaged: {str(reason)[:300]}; use a backup, or remove the file to train "
            "from the beginning"
        )


def check_checkpoint(path: str | os.PathLike | None) -> None:
    """Validate the argument ``checkpoint``: a path of a file, or None."""
    if path is None:
        return
    check_paths(checkpoint=path)
    if pathlib.Path(path).is_dir():
        raise SettingsError(
            f"checkpoint={str(path)!r} is a folder: give the path of a file in it", argument="checkpoint"
        )


def check_same_run(path: str | os.PathLike, saved: dict, run: dict) -> None:
    """Raise SettingsError if a checkpoint, of the training ``saved``, belongs to another training than ``run``."""
    # earlier versions kept all digits of the learning rate
    run, saved = ({**each, "learning_rate": in_digits_of_float32(each.get("learning_rate"))} for each in (run, saved))
    different = sorted(key for key in run.keys() | saved.keys() if run.get(key) != saved.get(key))
    if different:
        changes = ", ".join(_change(key, saved.get(key), run.get(key)) for key in different)
        raise SettingsError(
            f"the checkpoint {path} belongs to a different training: {changes}. "
            "Use the same settings to continue it, remove the file, or choose another path",
            argument="checkpoint",
        )


def _change(key, before, now):
    """Describe a changed setting; by its name only if the values are long."""
    is_short = not isinstance(before, dict | list) and not isinstance(now, dict | list)
    return f"{key} (was {before}, is {now})" if is_short else key
