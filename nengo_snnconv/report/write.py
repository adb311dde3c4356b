"""write_report and read_report: one self-contained HTML file with the results and pictures of a run."""

from __future__ import annotations

import json
import os
import pathlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jinja2
import markupsafe
import numpy as np

from .._util.atomic import atomic_write
from .._util.digests import crc32
from .._util.ordinary_files import open_ordinary
from .._util.strict_json import parse_json
from .._util.user_warnings import warn_user
from .._util.validation import check_has, check_paths, is_whole
from .._util.validation import shown as short_repr
from ..errors import FileFormatError, SettingsError
from ..evaluation.of_values import named_by_output
from ..networks.network import check_network
from .pictures import inline_svg, style
from .run import Run, cards, summary
from .sections import Section, all_sections, user_section
from .statistics import statistics
from .tables import Table, origin_rows

if TYPE_CHECKING:
    from ..analysis.diagnosis import Diagnosis
    from ..data.datasets import Dataset
    from ..evaluation.record import Recording
    from ..evaluation.result import Evaluation
    from ..events import EventDataset
    from ..networks.network import ConvNetwork

FOLDER = pathlib.Path(__file__).parent
DATA_ID = "nengo-snnconv"  # id of the element with the statistics
FORMAT_VERSION = 1
OTHER_SCORES = 0.1  # difference of the scores of the same image, relative to the range of scores of all images
_ELEMENT = re.compile(rb"<script\b[^<>]{0,200}\bid=[\"']?%b\b[^<>]{0,200}>" % DATA_ID.encode())
_CHECKSUM = re.compile(rb"\bdata-crc32=[\"']?(\w{1,20})")


def write_report(
    path: str | os.PathLike,
    network: ConvNetwork,
    evaluation: Evaluation,
    *,
    title: str | None = None,
    data: str | Dataset | EventDataset | None = None,
    recording: Recording | None = None,
    images: Sequence[int] | np.ndarray | None = None,
    class_names: Sequence[str] | dict[str, Sequence[str]] | None = None,
    run: dict[str, Any] | None = None,
    diagnosis: Diagnosis | None = None,
    sections: Sequence[tuple] = (),
    command: str | None = None,
) -> None:
    """Write the results of a run as one HTML file with all its pictures.

    The file needs no other files, is readable on phones, dark screens and paper, and also holds the statistics as JSON
    for :func:`read_report`.

    Parameters
    ----------
    path : str or path
        File to write.
    network : ConvNetwork
        Network that was evaluated.
    evaluation : Evaluation
        Result of :func:`evaluate`.
    title : str, optional
        Title; by default the kind of network and the data.
    data : str, Dataset or EventDataset, optional
        Data of the evaluation, or their name.
    recording : Recording, optional
        Recording of some images of the evaluation, whose spikes and class scores are drawn.
    images : sequence of int, optional
        Indices of these images in the evaluation, such as ``evaluation.examples()``; by default the first ones.
    class_names : sequence of str, or dict of them, optional
        Names of the classes, or of the values of a regression; by default those of ``data``, or their numbers.  Of
        several outputs, a dict by output.
    run : dict, optional
        Further facts about the run, for the table of settings.
    diagnosis : Diagnosis, optional
        Result of :func:`diagnose`, which gets a section.  A warning is issued if its number of steps is not that of the
        evaluation.
    sections : sequence of tuples, optional
        Further sections, ``(heading, text, ...)`` each.  The text may be followed by any number of pictures and tables:
        matplotlib axes or figures, or a list or dict of them; functions without arguments that draw and return them
        (``comparison.plot``), whose pictures get the colors of the report; or rows of text, the first one the header,
        such as the methods ``rows`` return.
    command : str, optional
        Command that made this run.  The report shows Python code for it in any case.

    Raises
    ------
    SettingsError
        If an argument is invalid.

    Examples
    --------
    >>> evaluation = nengo_snnconv.evaluate(network, data.x_test, data.y_test)
    >>> nengo_snnconv.write_report("report.html", network, evaluation, data=data)
    """
    check_paths(path=path)
    check_network(network)
    _check_types(title, recording, run, diagnosis, command)
    if not isinstance(sections, list | tuple):
        raise SettingsError(
            f"sections must be a sequence of (heading, text, ...), got {short_repr(sections)}", argument="sections"
        )
    check_has("step_predictions", "an Evaluation: make one with evaluate(network, x, y)", evaluation=evaluation)
    if diagnosis is not None and diagnosis.n_steps != evaluation.n_steps:
        warn_user(
            f"evaluation and diagnosis are of different runs, of n_steps={evaluation.n_steps} and "
            f"n_steps={diagnosis.n_steps}: give both the same n_steps, or give diagnosis.evaluation as the evaluation"
        )
    images = _checked_images(images, recording, evaluation)
    if recording is not None:
        _warn_of_other_images(evaluation, recording, images)
    data_name = getattr(data, "name", data)
    if not (data_name is None or isinstance(data_name, str)):
        raise SettingsError(f"data must be a data set or its name, got {type(data).__name__}", argument="data")
    known = getattr(data, "class_names", None)
    if class_names is None and known and (evaluation.heads or evaluation.task.head.decides):
        more = () if evaluation.heads else range(len(known), evaluation.task.head.n_classes)
        class_names = (*known, *more)  # the data may hold the first classes only
    names = named_by_output(evaluation, class_names)
    subject = Run(network, evaluation, data_name, names, recording, diagnosis, run or {}, command, images)
    if title is None:
        title = subject.title
    origin = origin_rows()
    with style():
        shown = all_sections(subject, [user_section(entry) for entry in sections])
        shown.append(Section("Origin", [("table", Table.of(origin, caption="Date, machine and versions"))]))
        text = _render(subject, title, shown, origin)
    # file names may hold bytes that are not valid text; they become escape sequences
    content = text.encode("utf-8", "backslashreplace")
    with atomic_write(path) as file:
        file.write(content)


def _check_types(title, recording, run, diagnosis, command):
    """Raise SettingsError if an argument of write_report has the wrong type."""
    for name, value in {"title": title, "command": command}.items():
        if value is not None and not isinstance(value, str):
            raise SettingsError(f"{name} must be text, or None; got {short_repr(value)}", argument=name)
    if run is not None and not isinstance(run, dict):
        raise SettingsError(f"run must be a dict of facts, or None; got {short_repr(run)}", argument="run")
    if recording is not None:
        check_has("filtered", "a Recording: make one with record(network, x)", recording=recording)
    if diagnosis is not None:
        check_has("findings", "a Diagnosis: make one with diagnose(network, x, y)", diagnosis=diagnosis)


def _checked_images(images, recording, evaluation):
    """Return the indices of the recorded images in the evaluation, or raise SettingsError if they do not fit."""
    n_images = len(evaluation.y)
    if recording is None:
        if images is not None:
            raise SettingsError("images are those of a recording: give it, or leave them out", argument="images")
        return ()
    n_recorded = len(recording.images)
    if images is None:
        return range(min(n_recorded, n_images))
    is_sequence = isinstance(images, list | tuple | range | np.ndarray)
    if not is_sequence or len(images) != n_recorded or not all(is_whole(i) and 0 <= i < n_images for i in images):
        raise SettingsError(
            f"images must be {n_recorded} indices below {n_images}, one for each image of the recording; got "
            f"{short_repr(images)}",
            argument="images",
        )
    return tuple(map(int, images))


def _warn_of_other_images(evaluation, recording, images):
    """Warn if the images of a recording have other scores than those of the same numbers in the evaluation."""
    same_run = recording.filtered.shape[1] == evaluation.n_steps and not evaluation.arguments.get("skip_steps")
    if not same_run or evaluation.input_layer or evaluation.stop:
        return  # scores differ in any case, or may
    expected = evaluation.scores[list(images)]
    difference = np.abs(recording.filtered[: len(expected), -1] - expected).max(initial=0)
    if difference > OTHER_SCORES * np.ptp(evaluation.scores):
        warn_user(
            "the recording is of other images than those of the evaluation with the same numbers, so the report would "
            "show wrong targets: record images of the evaluation, and give their indices in it as images; those of a "
            "tuning are x[tuning.report_images]"
        )


def _render(run, title, sections, origin):
    """Return the HTML of a report."""
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, loader=jinja2.FileSystemLoader(FOLDER)
    )
    pictures = iter(range(10**6))
    environment.filters |= {
        "svg": lambda picture: markupsafe.Markup(inline_svg(picture, f"p{next(pictures)}")),
        # allow line breaks in long names of layers
        "breakable": lambda name: markupsafe.escape(name).replace("_", markupsafe.Markup("_<wbr>")),
        "anchor": lambda heading: re.sub(r"\W+", "-", heading.lower()).strip("-") or "section",
    }
    values = statistics(run, title, origin)
    # "<" is escaped, because it could end the element or begin a comment
    data = json.dumps(values, indent=1, allow_nan=False).replace("<", "\\u003c")
    return environment.get_template("report.html.jinja").render(
        title=title,
        summary=summary(run),
        subtitle=f"{run.neurons}; {run.items}; {run.length}; back end {run.evaluation.backend}",
        cards=cards(run),
        sections=sections,
        css=markupsafe.Markup((FOLDER / "report.css").read_text(encoding="utf-8")),
        data_id=DATA_ID,
        data=markupsafe.Markup(data),
        checksum=_checksum(values),
        written=dict(origin)["written"][:10],
    )


def read_report(path: str | os.PathLike) -> dict[str, Any]:
    """Read the statistics of a report that :func:`write_report` wrote.

    They are stored as JSON in the element ``<script type="application/json" id="nengo-snnconv">``.

    Parameters
    ----------
    path : str or path
        File to read.

    Returns
    -------
    dict
        "report": version of this format, 1.  "title", "summary", "data" (name), "run" (facts given by the user),
        "command".  "calls": Python code that repeats the run.  "network": its "checksum", "settings", "layers"
        (shapes), and, if it has them, "scales", "normalization", "training" and "history".  "evaluation", "efficiency"
        and "diagnosis": results of ``to_dict`` of these objects, or None; the evaluation also has the 95 % confidence
        interval of its accuracy, "accuracy_interval".  "origin": date, machine, and versions of packages.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    FileFormatError
        If it is not a report, or its statistics are damaged.
    """
    check_paths(path=path)
    with open_ordinary(path) as file:
        content = file.read()
    opening = _ELEMENT.search(content)
    end = content.find(b"</script", opening.end()) if opening else -1
    try:
        if opening is None or end < 0:
            raise ValueError("it has no element with statistics")
        values = parse_json(content[opening.end() : end])
        if not isinstance(values, dict) or type(values.get("report")) is not int:
            raise ValueError("the element does not hold statistics of a report")
    except ValueError as error:
        raise FileFormatError(
            f"{path} is not a report of nengo_snnconv, or its statistics cannot be read ({error})"
        ) from error
    if values["report"] > FORMAT_VERSION:
        raise FileFormatError(f"{path} was written by a newer nengo_snnconv: upgrade nengo_snnconv to read it")
    checksum = _CHECKSUM.search(opening[0])
    # reports of earlier versions have no checksum
    if checksum and checksum[1].decode() != _checksum(values):
        raise FileFormatError(f"{path} is damaged: the checksum of its statistics is wrong; copy or write it again")
    return values


def _checksum(values):
    """Return the CRC-32 of the statistics; white space between them does not matter."""
    return f"{crc32(json.dumps(values, sort_keys=True).encode()):08x}"
