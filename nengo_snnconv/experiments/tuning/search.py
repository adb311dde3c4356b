"""Search: many settings on few images, and ever fewer of them on ever more images."""

import collections
import math

import numpy as np

from ..sweeps.trial import trial_of

# from one round to the next there are so many times as many images, and as many times fewer settings
FACTOR = 3
# settings that see all images, if not more must
FINALISTS = 5
# images of a shard, of which the first round has one, and most shards
LEAST_IMAGES, MOST_SHARDS = 200, 81
# how often as many others see all images, if they seem to be better
MORE_ROUNDS = 2
# golden section: shards that are spread over all images, however many they are
SPREAD = (np.sqrt(5) - 1) / 2


def number_of_shards(n_images):
    """How many shards there are, so that one of them holds enough images to begin with."""
    return int(np.clip(n_images // LEAST_IMAGES, 1, MOST_SHARDS))


def rounds(n_shards):
    """How many shards have been seen after each round."""
    n_rounds = 1 + max(0, math.ceil(math.log(n_shards, FACTOR) - 0.3))  # the first may be somewhat larger than others
    return sorted({max(1, round(n_shards / FACTOR**i)) for i in range(n_rounds)})


class Search:
    """Successive halving (Jamieson & Talwalkar 2016, arXiv 1502.07943): most settings are given up after few images.

    What a setting has seen counts in later rounds, so each image is shown to it once at most.

    Parameters
    ----------
    bench : Bench
    settings : list of Setting
    max_loss : float
    max_steps : int

    Attributes
    ----------
    trials : dict of Setting to Trial
        On the images that the setting has seen.
    """

    def __init__(self, bench, settings, max_loss, max_steps):
        self.bench, self.settings, self.max_loss, self.max_steps = bench, settings, max_loss, max_steps
        self.tallies, self.trials = collections.defaultdict(dict), {}
        self.order = sorted(range(len(bench.shards)), key=lambda shard: (shard * SPREAD) % 1)

    def run(self):
        """Settings that have seen all images, those that keep the loss in front."""
        n_shards, remaining = len(self.order), self.settings
        sizes = rounds(n_shards)
        for number, size in enumerate(sizes, start=1):
            self._see(remaining, self.order[:size], f"tuning, round {number} of {len(sizes)}")
            remaining = sorted(remaining, key=self.rank)
            if size < n_shards:
                remaining = remaining[: max(FINALISTS, -(-len(remaining) // FACTOR))]
        for number in range(MORE_ROUNDS):
            others = self._promising(remaining)[:FINALISTS]
            if not others:
                break
            self._see(others, self.order, f"tuning, others, round {number + 1}")
            remaining = sorted([*remaining, *others], key=self.rank)
        return remaining

    def exact(self, setting, n_steps):
        """The Trial of a run of just so many steps on all images, whose operations are not estimated."""
        found = {}
        wanted = [(setting, shard) for shard in self.order]
        self.bench.run(wanted, n_steps, lambda _, shard, tally: found.update({shard: tally}), "confirming")
        return trial_of(self.bench, setting, found)

    def rank(self, setting):
        """How promising a setting is, the least first: steps that it needs, deviation from the ANN, operations.

        As long as it has not seen all images, it may lose more by as much as chance may be to blame for.
        """
        trial = self.trials[setting]
        steps = trial.steps_within(self.max_loss + self._chance(trial))
        evaluation, begin = trial.evaluation, (self.max_steps // 2 if steps is None else steps - 1)
        deviation = np.mean(evaluation.step_predictions[begin:] != evaluation.ann_predictions)
        operations = trial.operations[-1 if steps is None else steps - 1]
        return np.inf if steps is None else steps, float(deviation), float(operations)

    def _chance(self, trial):
        """The standard deviation of the loss in points after each step, at least an image; 0 if all have been seen."""
        evaluation, n_images = trial.evaluation, trial.n_images
        if n_images == len(self.bench.y):
            return 0.0
        ann, spikes = evaluation.ann_predictions == evaluation.y, evaluation.step_predictions == evaluation.y
        return 100 / n_images * np.sqrt(np.maximum((ann != spikes).sum(axis=1), 1))

    def _promising(self, seen):
        """Settings besides those that have seen all images: that would be better than them, by what they have seen."""
        others = sorted((each for each in self.settings if each not in seen), key=self.rank)
        n_steps, _, operations = min((self.rank(each) for each in seen), key=lambda rank: (rank[0], rank[2]))
        if n_steps == np.inf:
            return others
        better = []
        for each in others:
            steps = self.rank(each)[0]
            if steps < n_steps or (steps == n_steps and self.trials[each].operations[int(n_steps) - 1] < operations):
                better.append(each)
        return better

    def _see(self, settings, shards, description):
        """Show settings those of the shards that they have not seen."""
        wanted = [(each, shard) for shard in shards for each in settings if shard not in self.tallies[each]]
        self.bench.run(wanted, self.max_steps, self._take, description)
        for setting in settings:
            self.trials[setting] = trial_of(self.bench, setting, self.tallies[setting])

    def _take(self, setting, shard, tally):
        self.tallies[setting][shard] = tally
