"""Models that are not Keras', as files and as objects, and the way from each of them to one that can be read."""

PAGE = "see 'Models from elsewhere' in the documentation"
COPY = f"build the same model in Keras and copy its weights ({PAGE})"

# suffix of a file: (what it is, what to do)
SUFFIXES = {
    ".tflite": ("a TensorFlow Lite file", f"give the Keras model that it was made from, or {COPY}"),
    ".onnx": ("an ONNX file", COPY),
    ".pb": ("a TensorFlow graph", f"give its folder if it is part of a SavedModel, else {COPY}"),
    ".pt": ("a PyTorch file", COPY),
    ".pth": ("a PyTorch file", COPY),
}

# the package, or the module, in which the class of an object or one of its bases is: (what it is, what to do)
MODULES = {
    "torch": ("a PyTorch model", COPY),
    "onnx": ("an ONNX model", COPY),
    "flax": ("a Flax model", COPY),
    "tensorflow.python.saved_model": ("a SavedModel that was loaded without Keras", COPY),
    "tensorflow.lite": ("a TensorFlow Lite interpreter", SUFFIXES[".tflite"][1]),
    "ai_edge_litert": ("a TensorFlow Lite interpreter", SUFFIXES[".tflite"][1]),
}


def describe_file(path):
    """Return what is said of a file, or of a folder, that holds no Keras model, or None where nothing is known.

    Parameters
    ----------
    path : pathlib.Path
    """
    if path.is_dir():
        return f"{path} is {_describe_folder(path)}"
    if path.suffix.lower() in SUFFIXES:
        kind, advice = SUFFIXES[path.suffix.lower()]
        return f"{path} is {kind}, not one of Keras: {advice}"
    return None


def _describe_folder(path):
    if (path / "keras_metadata.pb").exists():
        return f"a SavedModel folder of tf.keras: give tf.keras.models.load_model({str(path)!r})"
    if (path / "saved_model.pb").exists():
        return f"a SavedModel folder, which does not tell its layers: {COPY}"
    return "a folder, not a file: give a .keras or .h5 file"


def describe_object(source):
    """Return what is said of an object that is no Keras model."""
    name = type(source).__name__
    for cls in type(source).__mro__:
        for module, (kind, advice) in MODULES.items():
            if f"{cls.__module__}.".startswith(f"{module}."):
                return f"got {kind} ({name}), not one of Keras: {advice}"
    return f"expected a Keras model, a file of one or a nengo_snnconv Model, got {name}"
