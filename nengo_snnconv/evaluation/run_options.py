"""RunOptions: how a network is run, apart from its input, and how long a run takes."""

from __future__ import annotations

import dataclasses
import typing

from nengo.params import Default

from .._util.text_tables import counted
from .._util.validation import (
    check_choice,
    check_dt,
    check_optional_counts,
    check_positive,
    check_workers_count,
    invalid,
)
from ..errors import SettingsError
from ..model.memory import MEMORY_MB
from ..neurons.arguments import check_synapse
from ..simulator.program_runner import PRECISIONS
from .backends import check_backend
from .margin_stop import MarginStop

if typing.TYPE_CHECKING:
    from ..inputs import Inputs
    from ..networks.network import ConvNetwork

DEFAULT_STEPS = 30


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Options of a run, most of which are arguments of :func:`evaluate`.

    Attributes
    ----------
    backend : str or None
    synapse : float, nengo.synapses.Synapse, None or Default
    skip_steps : int
    minibatch_size : int or None
    memory_mb : float or None
        None for no limit.
    dt : float
    precision : str
    threads : int or None
    stop : MarginStop or None
    threads_of_job : int or None
        Number of threads for a run that is one of several parallel jobs.  Unlike ``threads``, back ends without
        threads accept and ignore it.

    Raises
    ------
    SettingsError, ConversionError
        If an option has an invalid value, or the back end does not take it.
    """

    backend: str | None = None
    synapse: typing.Any = Default
    skip_steps: int = 0
    minibatch_size: int | None = None
    memory_mb: float | None = MEMORY_MB
    dt: float = 0.001
    precision: str = "float32"
    threads: int | None = None
    stop: MarginStop | None = None
    threads_of_job: int | None = None

    def __post_init__(self):
        check_optional_counts(minibatch_size=self.minibatch_size)
        if self.memory_mb is not None:
            check_positive(memory_mb=self.memory_mb)
        check_dt(self.dt)
        check_choice(PRECISIONS, precision=self.precision)
        check_workers_count(threads=self.threads)
        if self.synapse is not Default:
            check_synapse(synapse=self.synapse)
        if self.stop is not None and not isinstance(self.stop, MarginStop):
            raise invalid("stop", "be a MarginStop, such as choose_stop returns, or None", self.stop)
        check_backend(self.backend, **self.backend_options)

    @property
    def backend_options(self) -> dict[str, typing.Any]:
        """Options that only some back ends take, if they differ from their defaults."""
        options = {} if self.precision == "float32" else {"precision": self.precision}
        return options if self.threads is None else {**options, "threads": self.threads}


def check_run_options(**options: typing.Any) -> None:
    """Validate options of a run before time is spent on anything else.

    Parameters
    ----------
    **options
        Some of the fields of :class:`RunOptions`.
    """
    RunOptions(**options)


def run_length(network: ConvNetwork, n_steps: int | None, inputs: Inputs) -> int:
    """Return the number of time steps of a run.

    In order of precedence: ``n_steps``, the number of frames, :func:`default_steps`.

    Raises
    ------
    SettingsError
        If ``n_steps`` or the inputs contradict the network.
    """
    needed = network.settings.total_steps(network.model)
    if needed is not None and inputs.n_steps is not None:
        raise SettingsError(
            "x: networks that run in stages, as with time to first spike, take images, which do not change over time; "
            "got frames",
            argument="x",
        )
    if None not in (n_steps, needed) and n_steps != needed:
        raise SettingsError(
            f"n_steps: this network takes {counted(needed, 'step')}, got {n_steps!r}: leave n_steps out",
            argument="n_steps",
        )
    candidates = (n_steps, inputs.n_steps, default_steps(network))
    return next(steps for steps in candidates if steps is not None)


def default_steps(network: ConvNetwork) -> int:
    """Return the number of time steps for which a network shows an image, unless another number is given.

    That is the number that the network needs (to run in stages), or for which it was trained, calibrated or tuned, or
    its thresholds were balanced, or ``DEFAULT_STEPS``.
    """
    needed, metadata = network.settings.total_steps(network.model), network.model.metadata
    balanced = metadata.get("normalization", {}).get("n_steps", DEFAULT_STEPS)
    return metadata.get("n_steps", balanced) if needed is None else needed
