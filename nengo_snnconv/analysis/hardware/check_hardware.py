"""check_hardware: whether a network fits on a neuromorphic chip."""

from __future__ import annotations

import dataclasses
import typing

from ..._util.validation import check_choice
from ...errors import SettingsError
from ...networks.context import adds_result_only
from ...networks.network import check_network
from ..chips import CHIPS
from .loihi import on_loihi
from .many_cores import on_many_cores
from .result import HardwareCheck
from .speck import on_speck
from .stages import stages_of

if typing.TYPE_CHECKING:
    from ...networks.network import ConvNetwork


@adds_result_only
def check_hardware(network: ConvNetwork, chip: str) -> HardwareCheck:
    """Check whether a network fits on a chip, layer by layer, from the published resources of the chip.

    Nothing runs on the chip or its software.  The check compares neurons, synapses, memories and kinds of layers with
    the figures in :attr:`HardwareCheck.chip`, which names their sources, and says what would make a layer fit.

    Parameters
    ----------
    network : ConvNetwork
        A network made by ``convert``, ``to_spiking``, ``calibrate``, ``build_trainable`` or ``read_nir``.
    chip : "loihi", "loihi2", "speck" or "spinnaker2"
        Upper and lower case are the same.

        "loihi": 128 cores; layers are distributed as by ``to_loihi``, which needs the package nengo-loihi, and what it
        refuses does not fit.

        "loihi2": 128 cores with 192 kB each; lower bounds of the number of cores.

        "speck": nine cores, each with a convolution, its neurons, and a sum over pooling windows.

        "spinnaker2": 152 processors with 128 kB each; lower bounds of the number of cores.

    Returns
    -------
    HardwareCheck

    Raises
    ------
    SettingsError
        If there is no such chip, or the network is one of time to first spike.
    CompatibilityError
        For "loihi", if nengo-loihi is not installed.

    Examples
    --------
    >>> check = snc.check_hardware(snn, "speck")
    >>> print(check.summary())
    >>> check.fits, check.cores
    (True, 3)
    """
    check_network(network)
    chip = chip.lower() if isinstance(chip, str) else chip
    check_choice(tuple(CHIPS), chip=chip)
    settings, model = network.settings, network.model
    if settings.total_steps(model) is not None:
        raise SettingsError(
            "network has stages that run one after another, which none of these chips supports: use to_spiking without "
            "stage_steps",
            argument="network",
        )
    resources, stages = CHIPS[chip], stages_of(model)
    problems: tuple[str, ...] = ()
    if chip == "speck":
        layers, problems, remarks = on_speck(network, stages)
    elif chip == "loihi":
        layers, problems, remarks = on_loihi(network, stages)
    else:
        layers, remarks = on_many_cores(model, stages, resources)
    quantization = model.metadata.get("quantization")
    if quantization is None or quantization["bits"] > resources.weight_bits:
        bits = resources.weight_bits
        remarks += (f"weights have {bits} bits there: quantize_weights(network, bits={bits}) shows what that costs",)
    check = HardwareCheck(resources, tuple(layers), problems, remarks)
    if check.n_chips is not None and check.n_chips > 1 and chip != "speck":
        too_many = (
            f"{check.cores:,} cores are needed, a chip has {resources.n_cores}: use {check.n_chips} chips, or fewer "
            "filters and neurons in the layers with the most cores"
        )
        check = dataclasses.replace(check, problems=(*problems, too_many))
    return check
