"""The runner: minibatches and chunks that fit into memory."""

import nengo
from models import small_cnn

import nengo_snnconv as snc
from nengo_snnconv.evaluation.run_options import RunOptions
from nengo_snnconv.evaluation.runner import Runner


def test_memory_sets_the_chunk():
    network = snc.build_trainable(small_cnn(), nengo.LIF(amplitude=0.01))
    chunks = []
    for memory_mb in (0.001, 1, 1e6):
        options = RunOptions(backend="nengo_dl", synapse=None, minibatch_size=10, memory_mb=memory_mb)
        with Runner(network, 1000, 10, options) as runner:
            chunks.append(runner.chunk)
    assert chunks == [1, 1_000_000 // (12 * 10 * (48 + 72)), 1000]
