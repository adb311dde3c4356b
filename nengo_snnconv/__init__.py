"""Convolutional spiking neural networks in Nengo: build, train, convert, run and understand them.

>>> import nengo_snnconv as snc

Main functions
--------------
Data and models: ``load_dataset``, ``load_events``, ``preset``, ``pretrained``, ``as_model``, ``inspect_model``.

Train a network: ``build_trainable``, ``train``, ``collect_trained``; a CNN for conversion: ``train_cnn``,
with ``QCFS`` activations for few time steps.  ``from_nengo`` reads networks that you built in Nengo or NengoDL.

Convert a trained model of Keras, ONNX or PyTorch: ``convert``, then ``normalize`` and ``to_spiking``, ``to_ttfs`` or
``to_loihi``; ``calibrate`` for few time steps, ``split_neurons`` for groups of neurons, ``quantize_weights`` for
integer weights.

Run a network: ``evaluate``, ``record``, ``Simulator``; ``profile`` for the time that each layer takes; ``present`` for
images one after another in a simulator of your own.

Understand a result: ``diagnose``, ``efficiency``, ``error_bounds``, ``threshold_errors``.

Choose parameters: ``sweep``, ``tune``, ``compare``; ``choose_stop`` for images that stop early.

Files: ``save``, ``load``; ``write_nir``, ``read_nir`` for other simulators and chips, with ``nir_losses``.

Chips: ``check_hardware``, ``quantize_weights``.

Submodules
----------
``plots``: figures of results, images and events.  ``report``: HTML reports of a run.  ``events``: recordings of event
cameras.  ``gui``: networks in Nengo GUI.  ``errors``: exceptions and warnings.  Most of their functions and classes are
also available at the top, as ``snc.plot_life``.

Names are loaded on first use, so importing the package is fast; TensorFlow is loaded when it is first needed.
"""

import importlib
from typing import Any

from ._version import __version__
from .compat import import_hook

import_hook.install()
import_hook.prefer_keras2()

# public names of each module, which is imported when one of its names is first used
_HOMES = {
    "errors": (
        "CompatibilityError",
        "ConversionError",
        "DatasetError",
        "FileFormatError",
        "JobsInterrupted",
        "ModelError",
        "SettingsError",
        "SnnConvError",
        "SnnConvWarning",
        "TrainingInterrupted",
        "TuningError",
        "WorkersError",
    ),
    "model": ("Model",),
    "data.datasets": ("Dataset", "load_dataset"),
    "events": (
        "EventDataset",
        "EventStatistics",
        "Recordings",
        "event_frames",
        "event_statistics",
        "load_events",
        "read_events",
        "read_recordings",
        "simulate_recordings",
        "stabilise",
        "write_events",
        "write_recordings",
    ),
    "inputs": ("EventFrames", "Inputs"),
    "formats.as_model": ("as_model", "inspect_keras", "inspect_model"),
    "networks.network": ("ConvNetwork",),
    "networks.presenting": ("present",),
    "networks.trainable": ("build_trainable", "collect_trained"),
    "networks.rate_model": ("rate_model",),
    "networks.foreign.from_nengo": ("from_nengo",),
    "networks.nir": ("from_nir", "read_nir", "to_nir", "write_nir"),
    "networks.storage": ("load", "save"),
    "conversion.calibrate": ("calibrate",),
    "conversion.convert": ("convert", "to_loihi", "to_spiking"),
    "conversion.ttfs": ("to_ttfs",),
    "conversion.normalization": ("normalize",),
    "conversion.quantize_weights": ("quantize_weights",),
    "conversion.split_neurons": ("split_neurons",),
    "neurons.integrate_and_fire": ("IntegrateAndFire",),
    "neurons.signed_integrate_and_fire": ("SignedIntegrateAndFire",),
    "neurons.qcfs": ("QCFS",),
    "neurons.surrogate_lif": ("SurrogateLIF",),
    "neurons.time_to_first_spike": ("TimeToFirstSpike",),
    "neurons.encoding": ("poisson_spikes",),
    "presets": ("preset", "pretrained"),
    "training.cnn.train_cnn": ("train_cnn",),
    "simulator": ("Simulator",),
    "training.augmentation": ("random_affine", "random_flip_and_shift"),
    "training.train": ("train",),
    "analysis.error_bounds": ("error_bounds",),
    "analysis.diagnosis": ("Diagnosis", "diagnose"),
    "evaluation.evaluate": ("evaluate",),
    "evaluation.choose_stop": ("choose_stop",),
    "evaluation.margin_stop": ("MarginStop",),
    "evaluation.profile": ("Profile", "profile"),
    "evaluation.result": ("Evaluation",),
    "analysis.efficiency": ("Efficiency", "efficiency"),
    "analysis.hardware": ("HardwareCheck", "check_hardware"),
    "analysis.nir_losses": ("NIRLosses", "nir_losses"),
    "analysis.threshold_errors": ("ThresholdErrors", "threshold_errors"),
    "evaluation.record": ("Recording", "record"),
    "training.comparison": ("Comparison", "compare"),
    "experiments.sweeps": ("Sweep", "Trial", "sweep"),
    "experiments.tuning": ("Tuning", "tune"),
    "plots": (
        "animate_life",
        "plot_accuracies",
        "plot_accuracy",
        "plot_comparison",
        "plot_confusion",
        "plot_diagnosis",
        "plot_event_frames",
        "plot_event_statistics",
        "plot_events",
        "plot_history",
        "plot_image_response",
        "plot_input_spikes",
        "plot_life",
        "plot_operations",
        "plot_spike_counts",
        "plot_spike_times",
        "plot_stop",
        "plot_sweep",
        "plot_threshold_errors",
        "plot_tuning",
    ),
    "report": ("read_report", "write_report"),
    "gui": ("GuiNetwork", "write_gui_script"),
}
# public submodules: ``snc.plots.plot_life``
_SUBMODULES = ("errors", "events", "gui", "plots", "report")
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = ["__version__", *_HOME_OF, *_SUBMODULES]


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
