"""Text to float64, compiled, correct to the last bit: equal to Python's ``float()``.

1. up to 19 digits are gathered in a 64-bit integer m, the value is m * 10^e;
2. if m <= 2^53 and |e| <= 22, both are exact doubles and one multiplication or
   division rounds correctly (Clinger 1990, "How to read floating point numbers
   accurately", section 4);
3. else, with -22 <= e <= 0, the quotient is taken as an unevaluated sum of two
   doubles (Dekker 1971, "A floating-point technique for extending the available
   precision") and rounded;
4. if the error of the second double could change that rounding (Ziv's test), and
   for everything else that is not a short plain number, the text is left to
   ``float()`` itself.

The text is read through addresses, because an array passed on costs reference
counts and each index a test for being negative. Whoever calls guarantees that
the text ends with a newline and eight bytes more. Measured on correlations, one
core: digit by digit from an array 58 ns a number, eight digits at a time from
an array 38, from addresses 26-28; isal unpacks the text of a number in 30.

Coefficients (17 digits) take way 3, errors and correlations (8 digits) way 2.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic as _typed_intrinsic

__all__ = ["byte", "number"]

# To a type checker an intrinsic wants the compiler's context as its first argument.
intrinsic: Any = _typed_intrinsic

# Exact doubles, all of them; numpy.power is not.
_POWERS = np.array([float(f"1e{k}") for k in range(23)])
_POWERS.setflags(write=False)

_ZERO, _MINUS, _PLUS, _POINT, _LETTER_E = 48, 45, 43, 46, 101
_LARGEST_EXACT = np.uint64(2**53)
# Constants of the eight-digit step, see _digits.
_ZEROS = np.uint64(0x3030303030303030)
_TO_HIGH_BIT = np.uint64(0x7676767676767676)
_HIGH_BITS = np.uint64(0x8080808080808080)
_PAIRS = np.uint64(0x000000FF000000FF)
_WEIGHTS_ODD = np.uint64(0x000F424000000064)
_WEIGHTS_EVEN = np.uint64(0x0000271000000001)
_INTEGER_POWERS = 10 ** np.arange(9, dtype=np.uint64)


@njit(nogil=True, cache=True, inline="always", error_model="numpy")
def _product(a, b):
    """a * b as a sum of two doubles (Dekker 1971, without fused multiply-add)."""
    split = 134217729.0  # 2^27 + 1
    t = split * a
    a_high = t - (t - a)
    a_low = a - a_high
    t = split * b
    b_high = t - (t - b)
    b_low = b - b_high
    p = a * b
    return p, ((a_high * b_high - p) + a_high * b_low + a_low * b_high) + a_low * b_low


@njit(nogil=True, cache=True, error_model="numpy")
def _quotient(m, power):
    """m / power rounded to nearest, and whether that is certain; m < 10^19."""
    high = np.float64(m)
    # What rounding m to a double lost: at most 2^10, so exact as an integer.
    low = np.float64(np.int64(m - np.uint64(high)))
    first = high / power
    p, q = _product(first, power)
    # The remainder of a division is a double, so only adding ``low`` and dividing round.
    second = (((high - p) - q) + low) / power
    # |m / power - (first + second)| is below 2^-51 |second|; the test uses 2^-48.
    slack = abs(second) * 3.6e-15
    below = first + (second - slack)
    return below, below == first + (second + slack)


def _load(bits):
    """Compiled read of a little-endian integer at an address."""

    def build(context, builder, signature, arguments):
        place = builder.inttoptr(arguments[0], ir.IntType(bits).as_pointer())
        return builder.load(place, align=1)

    return build


@intrinsic
def byte(typing, address):
    """The byte at an address."""
    return types.uint8(types.int64), _load(8)


@intrinsic
def _eight_bytes(typing, address):
    """The eight bytes at an address as one integer."""
    return types.uint64(types.int64), _load(64)


@intrinsic
def _trailing_zeros(typing, word):
    """Count of zero bits below the lowest set bit; 64 if there is none."""

    def build(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), build


@njit(nogil=True, cache=True, inline="always", error_model="numpy")
def _digits(i, m):
    """Append the digits at address i to m, eight at a time: m and where they end.

    Lemire 2021, "Number parsing at a gigabyte per second", section 5 (also the
    count of digits in a word by the highest bits of its bytes).
    """
    while True:
        word = _eight_bytes(i) ^ _ZEROS
        # A byte above 9 gets its highest bit set; a carry reaches only later bytes.
        others = ((word + _TO_HIGH_BIT) | word) & _HIGH_BITS
        n = np.int64(_trailing_zeros(others) >> np.uint64(3))
        if n == 0:
            return m, i
        # Digits move to the end of the word: zeros come in front of them.
        word <<= np.uint64(64 - 8 * n)
        word = word * np.uint64(10) + (word >> np.uint64(8))
        word = (
            (word & _PAIRS) * _WEIGHTS_ODD + ((word >> np.uint64(16)) & _PAIRS) * _WEIGHTS_EVEN
        ) >> np.uint64(32)
        m = m * _INTEGER_POWERS[n] + word
        i += n
        if n < 8:
            return m, i


@njit(nogil=True, cache=True, error_model="numpy")
def number(i):
    """The number that starts at address i: value, where it ends, whether it is certain."""
    negative = byte(i) == _MINUS
    i += negative
    start = i
    m, i = _digits(i, np.uint64(0))
    n, e = i - start, 0
    if byte(i) == _POINT:
        fraction = i + 1
        m, i = _digits(fraction, m)
        e = fraction - i
        n -= e
    if n > 19:
        # Leading zeros are no digits of m.
        while byte(start) == _ZERO or byte(start) == _POINT:
            n -= byte(start) == _ZERO
            start += 1
    if n == 0 or n > 19:
        return 0.0, i, m == 0 and n > 0
    if (byte(i) | 32) == _LETTER_E:
        i += 1
        minus = byte(i) == _MINUS
        if minus or byte(i) == _PLUS:
            i += 1
        start = i
        exponent, i = _digits(i, np.uint64(0))
        if i == start or i > start + 4:
            return 0.0, i, False
        power = np.int64(exponent)
        e += int(-power if minus else power)
    certain = True
    if e < -22 or e > 22 or (e > 0 and m > _LARGEST_EXACT):
        return 0.0, i, False
    if m <= _LARGEST_EXACT:
        value = m / _POWERS[-e] if e <= 0 else m * _POWERS[e]
    else:
        value, certain = _quotient(m, _POWERS[-e])
    return (-value if negative else value), i, certain
