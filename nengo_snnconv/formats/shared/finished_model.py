"""finished_model: the Model of a reader that has read all layers, or the error that names those it could not read."""

from ...errors import ConversionError, ModelError, listed


def finished_model(reader, kind):
    """Return the Model that a reader has read.

    Parameters
    ----------
    reader : ModelReader or GraphReader
        Reader with the attributes ``builder``, ``report``, ``inputs`` and ``outputs``.
    kind : str
        Kind of the foreign model for messages, such as "Keras model".

    Returns
    -------
    Model
        With the report as ``metadata["reading"]``, and the function that was left out at the end, "softmax" or
        "sigmoid", as ``metadata["head"]``.  Several inputs or outputs are declared as ``metadata["inputs"]`` or
        ``metadata["outputs"]``.

    Raises
    ------
    ConversionError
        If a layer was refused; the message names the first such layers.
    """
    report = reader.report
    if refused := report.layers_with("refused"):
        raise ConversionError(report.error_message(), layer=refused[0])
    if None in reader.outputs.values():
        unknown = report.layers_with("not checked")
        raise ConversionError(
            f"the output of the {kind} depends on layers whose shapes are unknown, {listed(unknown)}: build the model "
            "again",
            layer=unknown[0] if unknown else None,
        )
    try:
        return reader.builder.model(reader.inputs, reader.outputs, {"reading": list(report.rows.values())})
    except ModelError as error:
        raise ConversionError(f"the {kind} cannot be read: {error}", layer=error.layer) from error
