"""Search: many settings on few images, and ever fewer of them on ever more images."""

import collections

import numpy as np

from ..sweeps.trial import trial_of

# from one round to the next there are so many times as many images, and as many times fewer settings
FACTOR = 3
# settings that see all images, if not more must
FINALISTS = 3
# images of a shard, of which the first round has one
LEAST_IMAGES = 200
# how often others see all images where none of the best does well
MORE_ROUNDS = 2
# golden section: shards that are spread over all images, however many they are
SPREAD = (np.sqrt(5) - 1) / 2


def number_of_shards(n_images):
    """As many as rounds need that begin with few images."""
    return FACTOR ** int(np.log(max(1, n_images / LEAST_IMAGES)) / np.log(FACTOR) + 1e-9)


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
        sizes = [FACTOR**i for i in range(n_shards) if FACTOR**i < n_shards] + [n_shards]
        for number, size in enumerate(sizes, start=1):
            self._see(remaining, self.order[:size], f"tuning, round {number} of {len(sizes)}")
            remaining = sorted(remaining, key=self.rank)
            if size < n_shards:
                remaining = remaining[: max(FINALISTS, -(-len(remaining) // FACTOR))]
        for number in range(MORE_ROUNDS):
            others = sorted((each for each in self.settings if each not in remaining), key=self.rank)[:FINALISTS]
            if self._kept(remaining) or not others:
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

        As long as it has not seen all images, one image more may be lost, because few images tell little.
        """
        trial = self.trials[setting]
        whole = trial.n_images == len(self.bench.y)
        steps = trial.steps_within(self.max_loss + (0 if whole else 100 / trial.n_images))
        evaluation, begin = trial.evaluation, (self.max_steps // 2 if steps is None else steps - 1)
        deviation = np.mean(evaluation.step_predictions[begin:] != evaluation.ann_predictions)
        operations = trial.operations[-1 if steps is None else steps - 1]
        return np.inf if steps is None else steps, float(deviation), float(operations)

    def _kept(self, settings):
        return any(self.trials[setting].steps_within(self.max_loss) is not None for setting in settings)

    def _see(self, settings, shards, description):
        """Show settings those of the shards that they have not seen."""
        wanted = [(each, shard) for shard in shards for each in settings if shard not in self.tallies[each]]
        self.bench.run(wanted, self.max_steps, self._take, description)
        for setting in settings:
            self.trials[setting] = trial_of(self.bench, setting, self.tallies[setting])

    def _take(self, setting, shard, tally):
        self.tallies[setting][shard] = tally
