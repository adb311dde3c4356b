"""Chip: published resources of neuromorphic chips, with their sources."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Chip:
    """Published resources of a chip.

    Attributes
    ----------
    name : str
        Name for ``check_hardware``.
    title : str
        Name and maker.
    n_cores : int
    neurons_per_core : int or None
        Largest number of neurons on a core; None if only memory limits it.
    bytes_per_core : int or None
        Memory of a core; None if its cores have separate memories, of different sizes.
    weight_bits : int
        Bits of a weight.
    state_bytes : int
        Bytes of a neuron's state in the memory of its core; 0 if states have a memory of their own.
    sources : tuple of str
        Publications, with the date or version.
    """

    name: str
    title: str
    n_cores: int
    neurons_per_core: int | None
    bytes_per_core: int | None
    weight_bits: int
    state_bytes: int
    sources: tuple[str, ...]


LOIHI = Chip(
    name="loihi",
    title="Loihi, Intel",
    n_cores=128,
    neurons_per_core=1024,
    bytes_per_core=128 * 1024,
    weight_bits=8,
    state_bytes=0,
    sources=(
        "Davies et al. 2018, IEEE Micro 38(1), doi 10.1109/MM.2018.112130359: 128 cores, 1,024 neurons each",
        "nengo-loihi 1.1.0, block.py: 4,096 input and 4,096 output axons, 128 KiB of synapses a core",
    ),
)
LOIHI2 = Chip(
    name="loihi2",
    title="Loihi 2, Intel",
    n_cores=128,
    neurons_per_core=8192,
    bytes_per_core=192 * 1024,
    weight_bits=8,
    state_bytes=4,
    sources=(
        "Intel 2021, technology brief 'Taking Neuromorphic Computing to the Next Level with Loihi 2': 1 million "
        "neurons in 128 cores, 120 million synapses, 192 kB a core",
        "open-neuromorphic.org/neuromorphic-computing/hardware/loihi-2-intel, read on 2026-11-29",
    ),
)
SPECK = Chip(
    name="speck",
    title="Speck 2e and 2f, SynSense",
    n_cores=9,
    neurons_per_core=None,
    bytes_per_core=None,
    weight_bits=8,
    state_bytes=0,
    sources=(
        "sinabs documentation, docs/speck/overview.md at commit 13ad316: features and memory constraints",
        "sinabs, backend/dynapcnn/chips/dynapcnn.py at commit 05546a4: memories of the nine cores",
    ),
)
SPINNAKER2 = Chip(
    name="spinnaker2",
    title="SpiNNaker2, SpiNNcloud",
    n_cores=152,
    neurons_per_core=None,
    bytes_per_core=128 * 1024,
    weight_bits=8,
    state_bytes=4,
    sources=("SpiNNaker2 datasheet, version 0.03, 2021-08-19: 152 processors with 128 kB for code and data each",),
)
CHIPS = {chip.name: chip for chip in (LOIHI, LOIHI2, SPECK, SPINNAKER2)}
