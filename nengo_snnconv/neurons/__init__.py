"""Neuron types, one per file, with their forms for each back end.

A new neuron type
-----------------

Your own neuron type needs no change here: docs/how-to/bring-your-own-neuron-type.md.  To add one to the package, say
``ResonateAndFire``:

1. ``neurons/resonate_and_fire.py``, with an export in ``nengo_snnconv/__init__.py`` if users make it themselves:

   - For Nengo: a subclass of ``nengo.neurons.NeuronType``, or of ``UnitGain`` if gain is always 1 and bias 0, with
     ``state``, ``spiking``, ``negative``, one ``Parameter`` per argument of ``__init__``, ``step``, ``rates`` and
     ``gain_bias``.  ``to_spiking`` needs an ``amplitude``; ``record(potentials=True)`` and ``diagnose`` need the state
     ``voltage``.  The docstring has the equations, the paper, and the units of all parameters.
   - For training: ``@rate_function_of.register``, the firing rate as a TensorFlow function; or a ConversionError that
     says how such neurons are trained.
   - For NengoDL: ``@builds(ResonateAndFire)`` on a subclass of ``NeuronBuilder`` with the same ``step`` in TensorFlow,
     in the same order of operations, so that spikes are equal.

2. For the fast simulator: an operation in ``simulator/kernels/``, and a function for the type in
   ``simulator/compile/neuron_kinds.py``.  Without them the simulator raises an error that names the type.
3. For files: the module, in ``MODULES`` of ``networks/storage.py``.  The names of module and class stay valid forever.
4. Tests, each against an independent truth:

   - ``tests/neurons/test_resonate_and_fire.py``: spike counts against the equation, ``rates`` against spike counts,
     ``gain_bias`` against ``rates``, errors for each invalid argument.
   - ``tests/simulator/``, in the list of neuron types: equal spikes on all back ends.
   - ``tests/networks/test_storage.py``: the same settings after ``save`` and ``load``.
   - Charge conservation, if reset is by subtraction: sum of the input = threshold * spikes + change of the potential.

``integrate_and_fire.py`` is the example to copy.
"""
