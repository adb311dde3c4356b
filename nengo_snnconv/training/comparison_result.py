"""Comparison: the result of ``compare``, with tables of losses, accuracies and computing times."""

from __future__ import annotations

import dataclasses
import statistics
import typing

from .._util.display import Displayed
from .._util.text_tables import counted, markdown_table, text_table

if typing.TYPE_CHECKING:
    from ..networks.network import ConvNetwork
    from ..plots import Plot


@dataclasses.dataclass(frozen=True, eq=False)
class Trained:
    """Trained network of a :class:`Comparison`, with its results.

    Attributes
    ----------
    network : ConvNetwork
    n_steps : int or None
        Number of time steps in training and test; None for the CNN.
    n_train, n_test : int
        Number of images or recordings in training and test.
    """

    network: ConvNetwork
    n_steps: int | None
    n_train: int
    n_test: int

    @property
    def name(self) -> str:
        """Name for tables and plots."""
        return "CNN" if self.n_steps is None else f"SNN, {counted(self.n_steps, 'step')}"

    @property
    def loss(self) -> str:
        """Name of the loss."""
        return "cross-entropy" if self.n_steps is None else "squared error of rates"

    @property
    def history(self) -> dict[str, list]:
        """Results of each epoch, {name: list}."""
        return self.network.history

    @property
    def train_loss(self) -> float:
        """Mean loss over the last epoch, during training: with augmentation and dropout."""
        return self.history["loss"][-1]

    @property
    def test_loss(self) -> float:
        """Test loss after the last epoch."""
        return self.history["val_loss"][-1]

    @property
    def train_accuracy(self) -> float:
        """Mean accuracy over the last epoch, during training: with augmentation and dropout."""
        return self.history["accuracy"][-1]

    @property
    def test_accuracy(self) -> float:
        """Test accuracy after the last epoch."""
        return self.history["val_accuracy"][-1]

    @property
    def train_seconds(self) -> float:
        """Median time of a training epoch without its test; the median, since the first epoch also builds the graph."""
        both = zip(self.history["seconds"], self.history["val_seconds"], strict=True)
        return statistics.median_low(seconds - test_seconds for seconds, test_seconds in both)

    @property
    def test_seconds(self) -> float:
        """Median time of the test after an epoch."""
        return statistics.median_low(self.history["val_seconds"])

    def to_dict(self) -> dict:
        """Return the results and the history as JSON-serializable values."""
        return {
            "n_steps": self.n_steps,
            "n_train": self.n_train,
            "n_test": self.n_test,
            "loss": self.loss,
            "train_loss": self.train_loss,
            "test_loss": self.test_loss,
            "train_accuracy": self.train_accuracy,
            "test_accuracy": self.test_accuracy,
            "train_seconds": self.train_seconds,
            "train_seconds_per_thousand": 1000 * self.train_seconds / self.n_train,
            "test_seconds": self.test_seconds,
            "test_seconds_per_thousand": 1000 * self.test_seconds / self.n_test,
            "history": self.history,
        }


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Comparison(Displayed):
    """Result of :func:`nengo_snnconv.compare`.

    Attributes
    ----------
    trained : dict of str to Trained
        Networks and their results: "cnn", then "snn-4" and so on, by the number of steps.
    settings : dict
        Names of the data, and hyperparameters.
    """

    trained: dict[str, Trained]
    settings: dict

    @property
    def networks(self) -> dict[str, ConvNetwork]:
        """Trained networks, {name: ConvNetwork}."""
        return {name: trained.network for name, trained in self.trained.items()}

    @property
    def histories(self) -> dict[str, dict[str, list]]:
        """Results of each epoch of each network, {name: {result: list}}."""
        return {name: trained.history for name, trained in self.trained.items()}

    def _headline(self):
        return ", ".join(self.trained)

    def _tables(self):
        return [self._result_rows(), self._time_rows()]

    def tables(self, markdown: bool = False) -> tuple[str, str]:
        """Return two tables: losses and accuracies; seconds per epoch of training and inference.

        Parameters
        ----------
        markdown : bool
            Format the tables in Markdown instead of plain text.
        """
        table = markdown_table if markdown else text_table
        return table(self._result_rows()), table(self._time_rows())

    def _result_rows(self):
        rows = [("network", "loss function", "train loss", "test loss", "train accuracy", "test accuracy")]
        for trained in self.trained.values():
            losses = f"{trained.train_loss:.4f}", f"{trained.test_loss:.4f}"
            accuracies = f"{100 * trained.train_accuracy:.2f} %", f"{100 * trained.test_accuracy:.2f} %"
            rows.append((trained.name, trained.loss, *losses, *accuracies))
        return rows

    def _time_rows(self):
        rows = [("network", "trained on", "training", "per 1,000", "tested on", "inference", "per 1,000")]
        for trained in self.trained.values():
            training = _time_cells(trained.train_seconds, trained.n_train)
            rows.append((trained.name, *training, *_time_cells(trained.test_seconds, trained.n_test)))
        return rows

    def markdown(self) -> str:
        """Return settings, both tables and their explanation as a Markdown document."""
        results, seconds = self.tables(markdown=True)
        settings = "\n".join(f"- {name.replace('_', ' ')}: {value}" for name, value in self.settings.items())
        return (
            f"# Comparison of a CNN and SNNs\n\n{settings}\n\n## Losses and accuracies\n\n{results}\n\n"
            "The CNN and the SNNs have different loss functions, so their losses cannot be compared. Train: mean over "
            "the last epoch, during training, with dropout and augmentation. Test: after the last epoch, without "
            f"either.\n\n## Seconds per epoch\n\n{seconds}\n\n"
            "Medians over the epochs, including the conversion of events into frames.\n"
        )

    def to_dict(self) -> dict:
        """Return settings, results and histories as JSON-serializable values."""
        networks = {name: trained.to_dict() for name, trained in self.trained.items()}
        return {"settings": self.settings, "networks": networks}

    def plot(self, axes: typing.Any = None) -> Plot:
        """Draw loss and accuracy of each network over the epochs.

        Returns
        -------
        Plot
            Shown in a notebook; ``.savefig(path)`` writes it to a file.
        """
        from ..plots import plot_comparison

        return plot_comparison(self, axes)


def _time_cells(seconds, n_items):
    return f"{n_items:,}", f"{seconds:.2f} s", f"{1000 * seconds / n_items:.3f} s"
