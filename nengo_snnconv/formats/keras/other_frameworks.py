"""Error messages for models of other frameworks, as files and as objects, with the way to a model that can be read."""

PAGE = "see 'Models from elsewhere' in the documentation"
PASS_MODULE = "load it in PyTorch if you trust it, and pass the module, as in convert(module, input_shape=(3, 32, 32))"
COPY_WEIGHTS = f"build the same model in Keras and copy its weights ({PAGE})"

# suffix of a file -> (description, advice)
SUFFIXES = {
    ".tflite": ("a TensorFlow Lite file", f"pass the Keras model that it was made from, or {COPY_WEIGHTS}"),
    ".pb": ("a TensorFlow graph", f"pass its folder if it is part of a SavedModel, else {COPY_WEIGHTS}"),
    ".nir": ("a NIR file", "it holds a network that spikes already: read it with read_nir"),
    ".ort": ("a file of ONNX Runtime", "pass the .onnx file that it was made from"),
    ".pt": ("a PyTorch file", PASS_MODULE),
    ".pth": ("a PyTorch file", PASS_MODULE),
    ".pt2": ("an exported PyTorch program", "load it with torch.export.load if you trust it, and pass the result"),
}

# package or module that defines the class of an object, or one of its bases -> (description, advice)
MODULES = {
    "torch": ("an object of PyTorch", "pass a module, as in convert(module, input_shape=(3, 32, 32))"),
    "nir": ("a NIR graph", "it is a network that spikes already: pass it to from_nir"),
    "flax": ("a Flax model", COPY_WEIGHTS),
    "tensorflow.python.saved_model": ("a SavedModel that was loaded without Keras", COPY_WEIGHTS),
    "tensorflow.lite": ("a TensorFlow Lite interpreter", SUFFIXES[".tflite"][1]),
    "ai_edge_litert": ("a TensorFlow Lite interpreter", SUFFIXES[".tflite"][1]),
}


def describe_file(path):
    """Return the error message for a folder, or for a file of another framework; None for any other file.

    Parameters
    ----------
    path : pathlib.Path
    """
    if path.is_dir():
        return f"{path} is {_describe_folder(path)}"
    if path.suffix.lower() in SUFFIXES:
        kind, advice = SUFFIXES[path.suffix.lower()]
        return f"{path} is {kind}, not a Keras file: {advice}"
    return None


def _describe_folder(path):
    if (path / "keras_metadata.pb").exists():
        return f"a SavedModel folder of tf.keras: pass tf.keras.models.load_model({str(path)!r})"
    if (path / "saved_model.pb").exists():
        return f"a SavedModel folder, which does not list its layers: {COPY_WEIGHTS}"
    return "a folder, not a file: pass a .keras or .h5 file"


def describe_object(source):
    """Return the error message for an object that is not a Keras model."""
    name = type(source).__name__
    if isinstance(source, dict) and any(type(value).__module__.startswith("torch") for value in source.values()):
        return (
            "got a state dict of PyTorch, which holds weights only: build the module, call its load_state_dict, and "
            "pass the module, as in convert(module, input_shape=(3, 32, 32))"
        )
    for cls in type(source).__mro__:
        for module, (kind, advice) in MODULES.items():
            if f"{cls.__module__}.".startswith(f"{module}."):
                return f"got {kind} ({name}), not a Keras model: {advice}"
    return f"expected a model of Keras, ONNX or PyTorch, a file of one, or a nengo_snnconv Model, got {name}"
