"""Statistics of a report as JSON-serializable values, for read_report."""

import dataclasses
import json

from .._util.digests import sha256
from .._util.json_values import to_json
from ..errors import ConversionError
from ..model.files import model_to_json
from ..networks.storage import settings_to_json
from ..networks.ttfs import TTFSConfig
from .python_code import python_code
from .run import accuracy_interval, summary


def statistics(run, title, origin):
    """Return all statistics of a run as JSON-serializable values, in the format documented at :func:`read_report`."""
    network, evaluation = run.network, run.evaluation
    interval = accuracy_interval(evaluation)
    diagnosis = None if run.diagnosis is None else run.diagnosis.to_dict()
    if diagnosis:
        del diagnosis["evaluation"]  # it is in the report already
    settings = {
        field.name: str(getattr(network.settings, field.name)) for field in dataclasses.fields(network.settings)
    }
    metadata = network.model.metadata
    first_spike = isinstance(network.settings, TTFSConfig)
    return to_json(
        {
            "report": 1,
            "title": title,
            "summary": summary(run),
            "data": run.data_name,
            "run": run.settings,
            "command": run.command,
            "calls": python_code(network, evaluation),
            "network": {
                "checksum": network_checksum(network),
                "made_by": network.settings.builder_name,
                "coding": "time to first spike" if first_spike else "rate" if network.settings.has_rates else "spikes",
                "settings": settings,
                "layers": {name: list(shape) for name, shape in network.model.shapes.items()},
                **{key: metadata[key] for key in ("scales", "normalization", "training", "history") if key in metadata},
            },
            "evaluation": evaluation.to_dict() | ({"accuracy_interval": list(interval)} if interval else {}),
            "efficiency": None if run.efficiency is None else run.efficiency.to_dict(),
            "diagnosis": diagnosis,
            "origin": dict(origin[1:]),
        },
        nan_as_none=True,
    )


def network_checksum(network):
    """Return a checksum of a network: the first 16 digits of the SHA-256 of its layers, arrays and settings."""
    description = model_to_json(network.model)
    try:
        settings = settings_to_json(network.settings)
    except ConversionError:  # neuron types that files do not support
        settings = str(network.settings)
    text = json.dumps([description["layers"], description["output"], settings])
    text = json.dumps(json.loads(text, parse_int=float))  # 1 and 1.0 are the same setting
    arrays = [part for name, array in sorted(network.model.arrays.items()) for part in (name.encode(), array)]
    return sha256(text.encode(), *arrays)[:16]
