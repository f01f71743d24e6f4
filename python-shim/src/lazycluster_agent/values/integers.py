"""Integers beyond 64 bits, as decimal digits."""

from __future__ import annotations

from ..wire.msgpack import NotData, WireError

#: Longer integers would take seconds to write as decimal digits.
MAX_DIGITS = 100_000
#: Digits that are converted at once; Python refuses more than 4300.
_DIGITS = 4000


def to_digits(value: int) -> bytes:
    """Decimal digits, in pieces, for Python limits the length of one conversion."""
    sign, value = (b"-", -value) if value < 0 else (b"", value)
    if value.bit_length() > MAX_DIGITS * 3.3219:
        raise NotData("is an integer of more than %d digits" % MAX_DIGITS)
    base = 10**_DIGITS
    parts = []
    while value >= base:
        value, part = divmod(value, base)
        parts.append(b"%0*d" % (_DIGITS, part))
    parts.append(b"%d" % value)
    return sign + b"".join(reversed(parts))


def from_digits(content: bytes) -> int:
    negative = content[:1] == b"-"
    digits = content[negative:]
    # isdigit is ASCII-only on bytes; a leading zero would be a second form of the same number.
    if not digits.isdigit() or len(digits) > MAX_DIGITS or digits[:1] == b"0":
        raise WireError("an integer that is no row of digits")
    value = 0
    first = len(digits) % _DIGITS
    for start in range(first - _DIGITS if first else 0, len(digits), _DIGITS):
        value = value * 10**_DIGITS + int(digits[max(start, 0) : start + _DIGITS])
    return -value if negative else value
