"""Blocks of a report on single images or recordings: what they are, how they are classified, and the response."""

import numpy as np

from ..evaluation.heads import Classes
from ..evaluation.metrics import errors
from ..model.layers import Rectifier
from ..networks.staged import StagedConfig
from ..networks.ttfs import TTFSConfig
from ..plots import plot_event_frames, plot_image_response
from ..plots.evaluation import capitalized
from ..plots.images import shows_frames
from ..plots.life import emitted_by
from .pictures import MOST_PANELS, Picture, described, panel

# largest number of event frames
MOST_FRAMES = 8
# largest number of outputs of a regression that are written
MOST_VALUES = 4


def single_items(run):
    """Return the blocks of a section on single images or recordings, the latter with some frames."""
    first = run.heads[0]  # of several outputs, pictures show the first one
    recording = first.recording
    scores = "class scores" if first.evaluation.task.head.decides else "outputs"
    blocks = [
        (
            "text",
            f"Response of the network to single {run.item}s. Marks are spikes; {scores} are {_score_meaning(run)}.",
        )
    ]
    events = shows_frames(recording) and emitted_by(recording, 0).shape[-1] <= 2
    for i, number in enumerate(run.images):
        outcomes = [_outcome(head, i, number) for head in run.heads]
        texts = [f"{head.prefix}{text}" for head, (text, _) in zip(run.heads, outcomes, strict=True)]
        heading, label = f"{capitalized(run.item)} {number + 1}: {'; '.join(texts)}", outcomes[0][1]
        blocks.append(("heading", heading))
        if events:
            figure = _frames(emitted_by(recording, i))
            blocks.append(("pictures", [Picture(figure, f"Frames of events. {heading}.")]))
        axes = [panel(2.2, 2.1) for _ in range(min(len(recording.spikes) + 2, MOST_PANELS))]
        plot_image_response(recording, i, label, first.class_names, axes=axes)
        blocks.append(
            ("small", [Picture(ax.figure, f"{run.item} {number + 1}: {described(ax.figure)}") for ax in axes])
        )
    return blocks


def _outcome(of, i, number):
    """Return the target and the prediction of an output in words, and the true class, or None if it has none.

    The item is number ``i`` of the recording, and ``number`` of the evaluation.
    """
    evaluation, head = of.evaluation, of.evaluation.task.head
    names = of.class_names or list(map(str, range(head.n_classes)))
    target, predicted = evaluation.y[number], head.predict(of.recording.filtered[i, -1])
    true = "" if evaluation.labelled else " by the ANN"
    if isinstance(head, Classes):
        label = int(target)
        verdict = _verdict(evaluation, number, predicted == target, names)
        return f"{names[label]}{true}, classified as {names[int(predicted)]}: {verdict}", label
    if head.decides:
        sets = [", ".join(name for name, has in zip(names, each, strict=True) if has) for each in (target, predicted)]
        return f"{sets[0] or 'no label'}{true}; predicted: {sets[1] or 'none'}", None
    scores, target = evaluation.image_scores(), target.ravel()
    worst = ", the largest error of all" if len(scores) > 1 and scores[number] == scores.min() else ""
    if len(target) > MOST_VALUES:
        squared, absolute = errors(predicted, target)
        return f"mean squared error {squared:.4g}, mean absolute error {absolute:.4g}{worst}", None
    names = [f"{name}: " for name in of.class_names] if of.class_names else [""] * len(target)
    pairs = "; ".join(
        f"{name}target {t:.4g}{true}, output {p:.4g}" for name, t, p in zip(names, target, predicted, strict=True)
    )
    return pairs + worst, None


def _verdict(evaluation, number, right, names):
    """Return in words whether a class is right; if it is not, also the class that the ANN predicts."""
    if not evaluation.labelled:
        return "the same" if right else "different"
    if right or evaluation.ann_predictions is None:
        return "correct" if right else "wrong"
    of_ann = evaluation.ann_predictions[number]
    return "wrong (the ANN is right)" if of_ann == evaluation.y[number] else f"wrong ({names[of_ann]} by the ANN)"


def _frames(frames):
    """Return a figure of frames (steps, height, width, 1 or 2), evenly spaced if there are many."""
    steps = np.unique(np.linspace(0, len(frames) - 1, MOST_FRAMES).round().astype(int))
    columns = min(4, len(steps))
    rows = -(-len(steps) // columns)
    figure = panel(4, 1.25 * rows).figure
    figure.clear()
    axes = [figure.add_subplot(rows, columns, 1 + i) for i in range(len(steps))]
    for ax, step in zip(plot_event_frames(frames[steps], axes=axes), steps, strict=True):
        ax.set_title(f"frame {step + 1}", fontsize=8)
    return figure


def _score_meaning(run):
    """Return the meaning of the class scores of single steps."""
    model, settings = run.network.model, run.network.settings
    if isinstance(model.layers[model.output], Rectifier) and settings.accumulates:
        return "firing rates of the output neurons up to the step"
    if isinstance(settings, TTFSConfig):
        return "membrane potentials, which are zero before the last stage"
    if isinstance(settings, StagedConfig):
        return "membrane potentials, which are complete after the last stage"
    return "averages up to the step" if settings.accumulates else "filtered"
