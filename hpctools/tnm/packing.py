"""Compact bytes for windows of scans: 444 kB of float32 a sample become about 2 kB after deflate.

A scan is rounded to whole multiples of its quantum, q = precision · max(1, (CpN_max - CpN_min)/6). The integers less
their minimum fit into 16 bits, so their second differences modulo 2**16 give them back exactly whatever their size,
and are nearly all 0 or ±1. Precision 0 keeps the float32 bits instead: first differences of the bit patterns, modulo
2**32.

A sample's block holds the scans one behind the other as byte planes: all low bytes, then all higher ones. The planes
are what deflate, which HDF5 applies to the blocks, packs well.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

RANGE = 6.0  # CpN that 16 bits hold at the nominal precision, with room to spare (65535 · 1e-4 = 6.55)


def block_bytes(points: np.ndarray, scans: int, precision: float) -> np.ndarray:
    """Bytes (n,) of the blocks of samples whose windows have `points` (n,) points."""
    return np.asarray(points, np.int64) * scans * (2 if precision > 0 else 4)


@njit(cache=True, nogil=True, error_model="numpy")
def _pack(values, start_value, points, scans, precision, out, start_byte, quantum, base):
    # the two leading zeros stand for the level and slope before the first point
    number = np.zeros(points.max() + 2, np.int32)
    for i in range(points.size):
        n = points[i]
        length = n * scans
        for s in range(scans):
            scan = values[start_value[i] + s * n : start_value[i] + (s + 1) * n]
            low, high = scan[0], scan[0]
            for v in scan:
                low = min(low, v)
                high = max(high, v)
            q = np.float32(precision * max(1.0, (high - low) / RANGE))
            scale = 1.0 / np.float64(q)
            floor = math.floor(low * scale + 0.5)
            quantum[i, s] = q
            base[i, s] = floor
            shift = 0.5 - floor
            for j in range(n):
                number[j + 2] = np.int32(math.floor(scan[j] * scale + shift))
            at = start_byte[i] + s * n
            low_bytes = out[at : at + n]
            high_bytes = out[at + length : at + length + n]
            for j in range(n):
                second = number[j + 2] - 2 * number[j + 1] + number[j]
                # modulo 2**16, then zig-zag, so that small numbers of both signs have no high byte
                second = np.int32(np.int16(second))
                code = (second << 1) ^ (second >> 31)
                low_bytes[j] = np.uint8(code & 0xFF)
                high_bytes[j] = np.uint8((code >> 8) & 0xFF)


@njit(cache=True, nogil=True)
def _unpack(block, n, scans, quantum, base, out):
    length = n * scans
    for s in range(scans):
        last = 0
        slope = 0
        for j in range(n):
            code = int(block[s * n + j]) | (int(block[length + s * n + j]) << 8)
            code = (code >> 1) ^ (0xFFFF if code & 1 else 0)
            slope = (slope + code) & 0xFFFF
            last = (last + slope) & 0xFFFF
            out[s, j] = (base[s] + last) * quantum[s]


def pack(values, start_value, points, scans, precision, start_byte, size):
    """Pack samples.

    values: float32, flat; start_value (n,): where each sample's scans begin in it; points (n,): window lengths;
    start_byte (n,): where each block begins; size: bytes of the result.
    Returns bytes (size,), quantum (n, scans) float32, base (n, scans) int32.
    """
    out = np.zeros(size, np.uint8)
    quantum = np.zeros((len(points), scans), np.float32)
    base = np.zeros((len(points), scans), np.int32)
    if precision > 0:
        _pack(values, start_value, points, scans, precision, out, start_byte, quantum, base)
        return out, quantum, base
    for first, n, byte in zip(start_value, points * scans, start_byte, strict=True):
        bits = np.ascontiguousarray(values[first : first + n], "<f4").view("<u4")
        difference = np.diff(bits, prepend=np.uint32(0))
        out[byte : byte + 4 * n] = difference.astype("<u4").view(np.uint8).reshape(n, 4).T.ravel()
    return out, quantum, base


def unpack(block, points, scans, quantum, base):
    """The scans (scans, points) float32 of one block; quantum, base (scans,). The inverse of `pack`."""
    out = np.empty((scans, points), np.float32)
    if len(block) == 2 * points * scans:
        _unpack(block, points, scans, quantum.astype(np.float64), base.astype(np.int64), out)
        return out
    planes = np.ascontiguousarray(block.reshape(4, points * scans).T)
    return np.cumsum(planes.view("<u4").ravel(), dtype=np.uint32).view(np.float32).reshape(scans, points)
