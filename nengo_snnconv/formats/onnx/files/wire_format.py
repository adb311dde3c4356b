"""The size of a protocol buffer, checked before it is parsed.

A field of two bytes can become an object of a hundred, so a small file could fill the memory.
"""

from ....errors import FileFormatError

MAX_FIELDS = 2_000_000  # in all messages; GoogLeNet has 10,000
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class Damaged(FileFormatError):
    """Raised if bytes are not a protocol buffer."""


def check_fields(content, descriptor):
    """Count the fields of a message and of all messages in it.

    Parameters
    ----------
    content : bytes
    descriptor : google.protobuf.descriptor.Descriptor
        Descriptor of the message's type.

    Raises
    ------
    Damaged
        If ``content`` is not such a message, or has more than ``MAX_FIELDS`` fields.
    """
    content, waiting, n_fields = memoryview(content), [(0, len(content), descriptor)], 0
    while waiting:
        position, end, message = waiting.pop()
        while position < end:
            n_fields += 1
            if n_fields > MAX_FIELDS:
                raise Damaged(f"it has more than {MAX_FIELDS:,} fields, the limit")
            tag, position = _varint(content, position, end)
            kind = tag & 7
            if kind == _VARINT:
                _, position = _varint(content, position, end)
            elif kind == _BYTES:
                length, position = _varint(content, position, end)
                field = message.fields_by_number.get(tag >> 3)
                if field is not None and field.message_type is not None:
                    waiting.append((position, min(position + length, end), field.message_type))
                position += length
            elif kind in (_FIXED64, _FIXED32):
                position += 8 if kind == _FIXED64 else 4
            else:
                raise Damaged("it is not a protocol buffer")
        if position > end:
            raise Damaged("it is not a protocol buffer, or was cut short")


def _varint(content, position, end):
    """Return (value, position after it) of a number of variable length."""
    value = shift = 0
    while position < end and shift < 70:
        byte = content[position]
        value |= (byte & 127) << shift
        position, shift = position + 1, shift + 7
        if byte < 128:
            return value, position
    raise Damaged("it is not a protocol buffer, or was cut short")
