"""write_report: one self-contained HTML file with the figures and pictures of a run; read_report: its figures."""

import json
import pathlib
import re

import jinja2
import markupsafe

from .._util.atomic import atomic_write
from .._util.digests import crc32
from .._util.ordinary_files import open_ordinary
from .._util.strict_json import parse_json
from .._util.validation import check_has, check_names, check_paths
from .._util.validation import shown as told_shortly
from ..errors import FileFormatError, SettingsError
from ..networks.network import check_network
from .facts import Run, cards, figures, sentence
from .pictures import inline_svg, style
from .sections import Section, own_section, sections_of
from .tables import Table, origin_rows

FOLDER = pathlib.Path(__file__).parent
DATA_ID = "nengo-snnconv"  # of the element with the figures
REPORT = 1  # version of what is in it
_ELEMENT = re.compile(rb"<script\b[^<>]{0,200}\bid=[\"']?%b\b[^<>]{0,200}>" % DATA_ID.encode())
_CHECKSUM = re.compile(rb"\bdata-crc32=[\"']?(\w{1,20})")


def write_report(
    path,
    network,
    evaluation,
    *,
    title=None,
    data=None,
    recording=None,
    class_names=None,
    run=None,
    diagnosis=None,
    sections=(),
    command=None,
):
    """Write one HTML file, with every picture inside it, that shows how a network did.

    It needs nothing from elsewhere, fits phones, dark screens and paper, and holds its figures for machines too
    (:func:`read_report`).

    Parameters
    ----------
    path : str or path
    network : ConvNetwork
    evaluation : Evaluation
    title : str, optional
        By default what the network is, and on which data.
    data : str, Dataset or EventDataset, optional
        The data that were evaluated, or their name.
    recording : Recording, optional
        Of the first images that were evaluated: their spikes and class scores are drawn.
    class_names : sequence of str, optional
        By default those of ``data``.
    run : dict, optional
        Further facts about the run, for the table of settings.
    diagnosis : Diagnosis, optional
        Where accuracy goes, why, and what would help.
    sections : sequence of tuples, optional
        Further sections, ``(heading, text, ...)`` each.  Behind the text come any number of pictures and tables:
        matplotlib axes or figures, a list or dict of them; a function that draws, without arguments, and returns them
        (``comparison.plot``), whose picture gets the colours of the report; or rows of text, the first one the header,
        as methods called ``rows`` give them.
    command : str, optional
        The command that made this run.  Python calls that do are told in any case.

    Raises
    ------
    SettingsError
        If an argument cannot be shown.
    """
    check_paths(path=path)
    check_network(network)
    _check_told(title, recording, run, diagnosis, command)
    if not isinstance(sections, list | tuple):
        raise SettingsError(f"sections must be a sequence of (heading, text, ...), got {told_shortly(sections)}")
    if not hasattr(evaluation, "step_predictions"):
        raise SettingsError(f"expected an Evaluation, got {type(evaluation).__name__}: make one with evaluate(...)")
    data_name = getattr(data, "name", data)
    if not (data_name is None or isinstance(data_name, str)):
        raise SettingsError(f"data must be a data set or the name of one, got {type(data).__name__}")
    if class_names is None:
        class_names = getattr(data, "class_names", None)
    n_classes = evaluation.scores.shape[1]
    check_names(n_classes, class_names=class_names)
    names = None if class_names is None else tuple(map(str, class_names))
    shown = Run(network, evaluation, data_name, names, recording, diagnosis, run or {}, command)
    if title is None:
        title = shown.title
    origin = origin_rows()
    with style():
        found = sections_of(shown, [own_section(entry) for entry in sections])
        found.append(Section("Origin", [("table", Table.of(origin, caption="Date, machine and versions"))]))
        text = _rendered(shown, title, found, origin)
    # bytes of file names that are no text become escape sequences
    content = text.encode("utf-8", "backslashreplace")
    with atomic_write(path) as file:
        file.write(content)


def _check_told(title, recording, run, diagnosis, command):
    """Raise SettingsError for what a report cannot tell."""
    for name, value in {"title": title, "command": command}.items():
        if value is not None and not isinstance(value, str):
            raise SettingsError(f"{name} must be text, or None; got {told_shortly(value)}")
    if run is not None and not isinstance(run, dict):
        raise SettingsError(f"run must be a dict of facts, or None; got {told_shortly(run)}")
    if recording is not None:
        check_has("filtered", "a Recording: make one with record(network, x)", recording=recording)
    if diagnosis is not None:
        check_has("findings", "a Diagnosis: make one with diagnose(network, x, y)", diagnosis=diagnosis)


def _rendered(run, title, sections, origin):
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, loader=jinja2.FileSystemLoader(FOLDER)
    )
    pictures = iter(range(10**6))
    environment.filters |= {
        "svg": lambda picture: markupsafe.Markup(inline_svg(picture, f"p{next(pictures)}")),
        # names of layers may be long
        "breakable": lambda name: markupsafe.escape(name).replace("_", markupsafe.Markup("_<wbr>")),
        "anchor": lambda heading: re.sub(r"\W+", "-", heading.lower()).strip("-") or "section",
    }
    # what would end the element, or begin a comment in it, must not be in it as such
    found = figures(run, title, origin)
    machine = json.dumps(found, indent=1, allow_nan=False).replace("<", "\\u003c")
    return environment.get_template("report.html.jinja").render(
        title=title,
        summary=sentence(run),
        subtitle=f"{run.neurons}; {run.items}; {run.length}; back end {run.evaluation.backend}",
        cards=cards(run),
        sections=sections,
        css=markupsafe.Markup((FOLDER / "report.css").read_text(encoding="utf-8")),
        data_id=DATA_ID,
        data=markupsafe.Markup(machine),
        checksum=_checksum(found),
        written=dict(origin)["written"][:10],
    )


def read_report(path):
    """Read the figures of a report that :func:`write_report` wrote.

    They are in the file as JSON, in the element ``<script type="application/json" id="nengo-snnconv">``.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    dict
        "report": the version of this format, 1.  "title", "summary", "data" (name), "run" (facts of the user's),
        "command".  "calls": Python code that makes the run again.  "network": its "checksum", "settings", "layers"
        (shapes), and, where it has them, "scales", "normalization", "training" and "history".  "evaluation",
        "efficiency" and "diagnosis": what ``to_dict`` of the objects gives, None where there is none, and beside the
        accuracy its 95 % interval "accuracy_interval".  "origin": date, machine, and versions of packages.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If it is no report, or its figures were damaged.
    """
    check_paths(path=path)
    with open_ordinary(path) as file:
        content = file.read()
    opening = _ELEMENT.search(content)
    end = content.find(b"</script", opening.end()) if opening else -1
    try:
        if end < 0:
            raise ValueError("it has no element with figures")
        found = parse_json(content[opening.end() : end])
        if not isinstance(found, dict) or type(found.get("report")) is not int:
            raise ValueError("its figures are not those of a report")
    except ValueError as error:
        raise FileFormatError(
            f"{path} is no report of nengo_snnconv: it holds no figures that can be read ({error})"
        ) from error
    if found["report"] > REPORT:
        raise FileFormatError(f"{path} was written by a newer nengo_snnconv: upgrade nengo_snnconv to read it")
    checksum = _CHECKSUM.search(opening[0])
    # reports of earlier versions have none
    if checksum and checksum[1].decode() != _checksum(found):
        raise FileFormatError(f"{path} is damaged: its figures do not have their checksum; copy or make it again")
    return found


def _checksum(found):
    """The CRC-32 of figures, whatever blanks are between them."""
    return f"{crc32(json.dumps(found, sort_keys=True).encode()):08x}"
