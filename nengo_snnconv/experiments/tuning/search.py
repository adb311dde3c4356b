"""Search: successive halving for most grid points, and one calibrated network after another, for ever fewer steps."""

import collections
import math

import numpy as np

from ..._util.text_tables import counted

# from one round to the next there are FACTOR times as many images, and FACTOR times fewer grid points
FACTOR = 3
# number of grid points that see all images in any case
FINALISTS = 5
# images in a shard (the first round has one shard), and largest number of shards
LEAST_IMAGES, MOST_SHARDS = 200, 81
# number of extra rounds in which other promising grid points see all images
EXTRA_ROUNDS = 2
# golden section: multiples of it modulo 1 are spread evenly, so the first shards are spread over all images
SPREAD = (np.sqrt(5) - 1) / 2


def number_of_shards(n_images):
    """Return the number of shards, such that one of them is large enough for the first round."""
    return int(np.clip(n_images // LEAST_IMAGES, 1, MOST_SHARDS))


def shards_per_round(n_shards):
    """Return the total number of shards that a grid point has seen after each round."""
    # rounded down, so the first round may have somewhat more images than the later ones imply
    n_rounds = 1 + max(0, math.ceil(math.log(n_shards, FACTOR) - 0.3))
    return sorted({max(1, round(n_shards / FACTOR**i)) for i in range(n_rounds)})


class Search:
    """Successive halving (Jamieson & Talwalkar 2016, arXiv 1502.07943): most grid points are dropped after few images.

    Results of earlier rounds are used in later ones, so no grid point sees an image twice.

    Calibrated networks are tried afterwards, because each takes a calibration, and judges one number of steps: for ever
    fewer steps, beginning with fewer than the others need, as long as they keep the loss.

    Parameters
    ----------
    runner : SweepRunner
    points : list of GridPoint
        Candidates.
    max_loss : float
        Largest loss of accuracy in percentage points.
    max_steps : int
        Largest number of time steps.

    Attributes
    ----------
    trials : dict of GridPoint to Trial
        Trial of each grid point that was tried, on the images that it has seen.
    """

    def __init__(self, runner, points, max_loss, max_steps):
        self.runner, self.points, self.max_loss, self.max_steps = runner, points, max_loss, max_steps
        self.counts, self.trials = collections.defaultdict(dict), {}
        self.order = sorted(range(len(runner.shards)), key=lambda shard: (shard * SPREAD) % 1)

    def run(self):
        """Return the grid points that have seen all images, best first."""
        finalists = self._halve([each for each in self.points if each.calibration is None])
        for points in self._calibrated_points():
            finalists = sorted([*finalists, *self._descend(points, finalists)], key=self.rank)
        return finalists

    def _halve(self, points):
        """Return those of the points that have seen all images, best first."""
        n_shards, remaining = len(self.order), points
        sizes = shards_per_round(n_shards) if points else []
        for number, size in enumerate(sizes, start=1):
            self._run_on(remaining, self.order[:size], f"tuning, round {number} of {len(sizes)}")
            remaining = sorted(remaining, key=self.rank)
            if size < n_shards:
                remaining = remaining[: max(FINALISTS, -(-len(remaining) // FACTOR))]
        for number in range(EXTRA_ROUNDS):
            others = self._promising(points, remaining)[:FINALISTS] if points else []
            if not others:
                break
            self._run_on(others, self.order, f"tuning, extra round {number + 1}")
            remaining = sorted([*remaining, *others], key=self.rank)
        return remaining

    def _calibrated_points(self):
        """Return lists of calibrated grid points that differ in their number of steps only, most steps first."""
        families = collections.defaultdict(list)
        for point in self.points:
            if point.calibration is not None:
                values = {name: value for name, value in point.values.items() if name != "calibrate_steps"}
                families[repr(values)].append(point)
        return [sorted(points, key=lambda point: -point.calibration["n_steps"]) for points in families.values()]

    def _descend(self, points, finalists):
        """Return those of the points that have seen all images: those that keep the loss on few of them.

        Points with as many steps as a finalist that keeps the loss are not tried.  If there is none, the first point is
        returned in any case.
        """
        fewest = min((self.rank(each)[0] for each in finalists), default=np.inf)
        few = self.order[: shards_per_round(len(self.order))[0]]
        seen = []
        for point in points:
            n_steps = point.calibration["n_steps"]
            if n_steps >= fewest:
                continue
            description = f"tuning, calibrated for {counted(n_steps, 'step')}"
            self._run_on([point], few, description)
            if self.rank(point)[0] < np.inf or (fewest == np.inf and not seen):
                self._run_on([point], self.order, description)
                seen.append(point)
            if self.rank(point)[0] == np.inf:
                break
        return seen

    def exact_trial(self, point, n_steps):
        """Run a grid point for exactly ``n_steps`` on all images, and return its Trial, whose operations are exact."""
        if self.trials[point].evaluation.n_steps == n_steps:
            return self.trials[point]
        return self.runner.run_all(point, n_steps, "confirming")

    def rank(self, point):
        """Return the rank of a grid point, smaller is better: (steps, deviation from the ANN, operations).

        A grid point that has not seen all images may lose more than ``max_loss``, by one standard deviation of its
        loss.
        """
        trial = self.trials[point]
        steps = trial.steps_within(self.max_loss + self._loss_deviation(trial))
        evaluation = trial.evaluation
        begin = evaluation.n_steps // 2 if steps is None else steps - 1
        deviation = np.mean(evaluation.deviation[begin:])
        operations = trial.operations[-1 if steps is None else steps - 1]
        return np.inf if steps is None else steps, float(deviation), float(operations)

    def _loss_deviation(self, trial):
        """Return the standard deviation of the loss after each step, in points; 0 if all images have been seen.

        It is at least that of one image.
        """
        evaluation, n_images = trial.evaluation, trial.n_images
        if n_images == len(self.runner.inputs):
            return 0.0
        change = evaluation.task.ann_scores() - evaluation.task.image_scores(evaluation.records)
        return 100 / n_images * np.sqrt(np.maximum(np.square(change).sum(axis=1), 1))

    def _promising(self, points, finalists):
        """Return the other points that seem better than all finalists, by the images that they have seen."""
        others = sorted((each for each in points if each not in finalists), key=self.rank)
        n_steps, _, operations = min((self.rank(each) for each in finalists), key=lambda rank: (rank[0], rank[2]))
        if n_steps == np.inf:
            return others
        better = []
        for each in others:
            steps = self.rank(each)[0]
            if steps < n_steps or (steps == n_steps and self.trials[each].operations[int(n_steps) - 1] < operations):
                better.append(each)
        return better

    def _run_on(self, points, shards, description):
        """Run grid points on those of the shards that they have not seen."""
        pairs = [(each, shard) for shard in shards for each in points if shard not in self.counts[each]]
        self.runner.run(pairs, self.max_steps, self._keep, description)
        for point in points:
            self.trials[point] = self.runner.trial(point, self.counts[point])

    def _keep(self, point, shard, counts):
        self.counts[point][shard] = counts
