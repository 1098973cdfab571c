"""Counter-based randomness, shared bit for bit by the PyTorch reference and the C++.

Seeds come from Philox4x32-10 (Salmon, Moraes, Dror, Shaw, *Parallel random numbers: as easy as 1, 2, 3*, SC
2011) with key = (low, high 32 bits of ``key``) and counter = (call index, block, low, high 32 bits of the
stream number), so any block of any stream can be drawn again alone, in any order, on any thread.

Inputs. A *block* is 4096 consecutive samples of a stream: 8 sub-blocks of 512. A block has 8 lanes of SFC64
(Doty-Humphrey; ``numpy.random.SFC64``: state a, b, c, w; output ``a + b + w``). Lane l starts from the six
Philox words 6l .. 6l + 5 of call indices 0 .. 11 (low word first) as a, b, c, with w = 1, and drops 12
outputs. Step s * n + i of the lanes is coordinate i of sub-block s: bit j of lane l is sample 64 l + j of
the sub-block, and a one means x = -1.

Mixture. Call indices 16 .. 27 seed a second set of lanes, so that a mixture of labels never shifts the
inputs. For each sub-block in turn, the digits d = 63, 62, .. of the probability p / 2^64 are compared with
one step of the lanes each: a sample whose bit is 0 where p has 1 takes the alternative label, one whose bit
is 1 where p has 0 the main one, and equal bits leave it undecided. The sub-block ends when all its 512
samples are decided, or after 64 digits (a sample undecided then has U = p and takes the main label): the
alternative is taken iff U < p for a uniform 64-bit U.

Initialisations (:func:`draw_signs`, :func:`draw_integers`) are plain Philox at call indices from 2^31 on.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int8, Int64
from torch import Tensor

from kernels.errors import KernelValueError

SUB = 512
SUBS = 8
BLOCK = SUB * SUBS
LANES = 8
DISCARDED = 12
INPUT_CALL = 0
MIXTURE_CALL = 16
SIGN_CALL = 1 << 31
INTEGER_CALL = SIGN_CALL + 1
MAX_STREAM = (1 << 63) - 1
MAX_SAMPLES = BLOCK << 32
"""Samples of one stream: the block number is one 32-bit word of the counter."""

_WORD = 0xFFFFFFFF


def _check_key_and_stream(key: int, stream: int) -> None:
    if not 0 <= key < 1 << 64:
        raise KernelValueError(f"key is {key}, but must be in [0, 2^64).")
    if not 0 <= stream <= MAX_STREAM:
        raise KernelValueError(f"stream is {stream}, but must be in [0, 2^63).")


def signed(word: int) -> int:
    """The signed 64-bit integer with the bits of ``word`` in [0, 2^64), as torch stores it."""
    return word - (1 << 64) if word >= 1 << 63 else word


def philox(key: int, counter: tuple[Tensor, Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Philox4x32-10 of int64 tensors that hold 32-bit words (broadcast against each other).

    A product of two 32-bit words may pass 2^63; its bits are right all the same, as int64 wraps around.
    """
    k0, k1 = key & _WORD, key >> 32
    c0, c1, c2, c3 = counter
    for _ in range(10):
        p0, p1 = c0 * 0xD2511F53, c2 * 0xCD9E8D57
        c0, c1, c2, c3 = (p1 >> 32 & _WORD) ^ c1 ^ k0, p1 & _WORD, (p0 >> 32 & _WORD) ^ c3 ^ k1, p0 & _WORD
        k0, k1 = (k0 + 0x9E3779B9) & _WORD, (k1 + 0xBB67AE85) & _WORD
    return c0, c1, c2, c3


def _shift_right(x: Tensor, bits: int) -> Tensor:
    """Logical shift: torch's int64 shift repeats the sign."""
    return x >> bits & ((1 << (64 - bits)) - 1)


@dataclass
class Lanes:
    """SFC64 states as int64 tensors of shape [blocks, 8]."""

    a: Tensor
    b: Tensor
    c: Tensor
    w: Tensor

    @classmethod
    def seeded(cls, key: int, streams: Tensor, blocks: Tensor, first_call: int) -> "Lanes":
        """Lanes of one block each; streams and blocks are int64 [blocks]."""
        calls = torch.arange(first_call, first_call + 12, dtype=torch.int64, device=streams.device)
        high = _shift_right(streams, 32)
        words = torch.stack(
            philox(key, (calls[None, :], blocks[:, None], (streams & _WORD)[:, None], high[:, None])), dim=-1
        ).reshape(-1, LANES, 3, 2)
        state = words[..., 0] | words[..., 1] << 32
        lanes = cls(state[..., 0], state[..., 1], state[..., 2], torch.ones_like(state[..., 0]))
        for _ in range(DISCARDED):
            lanes.step()
        return lanes

    def step(self) -> Tensor:
        """Next output of every lane, int64 [blocks, 8] holding unsigned words."""
        out = self.a + self.b + self.w
        self.w = self.w + 1
        self.a = self.b ^ _shift_right(self.b, 11)
        self.b = self.c + (self.c << 3)
        self.c = (self.c << 24 | _shift_right(self.c, 40)) + out
        return out

    def step_where(self, block: Tensor) -> Tensor:
        """As :meth:`step`, but only the lanes of the blocks marked in the bool tensor [blocks] move on."""
        old = (self.a, self.b, self.c, self.w)
        out = self.step()
        mask = block[:, None]
        self.a, self.b, self.c, self.w = (
            torch.where(mask, new, previous)
            for new, previous in zip((self.a, self.b, self.c, self.w), old, strict=True)
        )
        return out


def _unpack(words: Tensor) -> Tensor:
    """Bits, least significant first: int64 [...] -> int64 [..., 64] of 0 and 1."""
    return words[..., None] >> torch.arange(64, dtype=torch.int64, device=words.device) & 1


def input_bits(key: int, streams: Tensor, blocks: Tensor, n: int, subs: int = SUBS) -> Tensor:
    """Inputs of the first sub-blocks of some blocks: int8 [blocks, 512 subs, n] of 0 and 1, a one being x = -1."""
    lanes = Lanes.seeded(key, streams, blocks, INPUT_CALL)
    steps = torch.stack([lanes.step() for _ in range(subs * n)], dim=1)
    bits = _unpack(steps).to(torch.int8).reshape(-1, subs, n, SUB)
    return bits.transpose(2, 3).reshape(-1, subs * SUB, n)


def needed_subs(first_block: int, stop: int) -> int:
    """Sub-blocks to draw of each block from ``first_block`` on: fewer than 8 only if the first is the last."""
    return min(SUBS, -(-(stop - first_block * BLOCK) // SUB))


def mixture_bits(key: int, streams: Tensor, blocks: Tensor, probability: int, subs: int = SUBS) -> Tensor:
    """Which samples of the same sub-blocks take the alternative label: bool [blocks, 512 subs].

    The probability is in units of 2^-64, below 2^64.
    """
    lanes = Lanes.seeded(key, streams, blocks, MIXTURE_CALL)
    picked = []
    for _ in range(subs):
        undecided = torch.full_like(lanes.a, -1)
        alternative = torch.zeros_like(lanes.a)
        for digit in range(63, -1, -1):
            open_blocks = undecided.ne(0).any(dim=1)
            if not bool(open_blocks.any()):
                break
            u = lanes.step_where(open_blocks)
            if probability >> digit & 1:
                alternative = alternative | undecided & ~u
                undecided = undecided & u
            else:
                undecided = undecided & ~u
        picked.append(alternative)
    return _unpack(torch.stack(picked, dim=1)).reshape(-1, subs * SUB).to(torch.bool)


def draw_inputs(key: int, stream: int, n: int, start: int, stop: int) -> Int8[Tensor, "samples n"]:
    """The samples ``start`` .. ``stop - 1`` that :func:`kernels.first_step` sees in a stream, as rows of
    -1 and 1.

    Args:
        key: in [0, 2^64).
        stream: in [0, 2^63).
        n: coordinates, at least 1.
        start: first sample, at least 0.
        stop: one past the last sample, at least ``start`` and at most 2^44.

    Raises:
        KernelValueError: if an argument is out of range.

    >>> draw_inputs(key=1, stream=0, n=6, start=4094, stop=4098).tolist() == (
    ...     draw_inputs(1, 0, 6, 4094, 4096).tolist() + draw_inputs(1, 0, 6, 4096, 4098).tolist())
    True
    """
    _check_key_and_stream(key, stream)
    if n < 1:
        raise KernelValueError(f"n is {n}, but must be at least 1.")
    if not 0 <= start <= stop <= MAX_SAMPLES:
        raise KernelValueError(
            f"samples {start} to {stop} were asked for, but 0 <= start <= stop <= {MAX_SAMPLES} must hold."
        )
    if start == stop:
        return torch.empty((0, n), dtype=torch.int8)
    first = start // BLOCK
    blocks = torch.arange(first, -(-stop // BLOCK), dtype=torch.int64)
    bits = input_bits(key, torch.full_like(blocks, stream), blocks, n, needed_subs(first, stop)).reshape(
        -1, n
    )
    return (1 - 2 * bits[start - first * BLOCK : stop - first * BLOCK]).contiguous()


def draw_signs(key: int, stream: int, count: int) -> Int8[Tensor, " count"]:
    """Fair independent signs, -1 or 1, for initialisations; independent of the inputs of the same stream.

    Sign 32 v + t is bit t of word v mod 4 of the Philox output for call index 2^31 and block v div 4; a
    one is -1.

    Args:
        key: in [0, 2^64).
        stream: in [0, 2^63).
        count: in [0, 2^39].

    Raises:
        KernelValueError: if an argument is out of range.

    >>> draw_signs(key=5, stream=2, count=8).tolist() == draw_signs(key=5, stream=2, count=9)[:8].tolist()
    True
    """
    _check_key_and_stream(key, stream)
    if not 0 <= count <= 1 << 39:
        raise KernelValueError(f"count is {count}, but must be in [0, 2^39].")
    blocks = torch.arange(-(-count // 128), dtype=torch.int64)
    words = torch.stack(_initialisation_words(key, stream, SIGN_CALL, blocks), dim=-1)
    bits = words[..., None] >> torch.arange(32, dtype=torch.int64) & 1
    return (1 - 2 * bits.reshape(-1)[:count]).to(torch.int8)


def draw_integers(key: int, stream: int, count: int, bound: int) -> Int64[Tensor, " count"]:
    """Independent integers, each exactly uniform on 0 .. ``bound - 1``, for initialisations.

    Integer i is U mod bound for the first 64-bit U below the largest multiple of ``bound`` that fits,
    among the U of call indices 2^31 + 1, 2^31 + 2, .. at block i (words 0 and 1 of each, low first).

    Args:
        key: in [0, 2^64).
        stream: in [0, 2^63).
        count: in [0, 2^32].
        bound: in [1, 2^63].

    Raises:
        KernelValueError: if an argument is out of range.

    >>> sorted(set(draw_integers(key=5, stream=2, count=100, bound=3).tolist()))
    [0, 1, 2]
    """
    _check_key_and_stream(key, stream)
    if not 0 <= count <= 1 << 32:
        raise KernelValueError(f"count is {count}, but must be in [0, 2^32].")
    if not 1 <= bound <= 1 << 63:
        raise KernelValueError(f"bound is {bound}, but must be in [1, 2^63].")
    out = np.zeros(count, dtype=np.uint64)
    last = np.uint64((1 << 64) // bound * bound - 1)
    pending = torch.arange(count, dtype=torch.int64)
    call = INTEGER_CALL
    while pending.numel():
        low, high, _, _ = _initialisation_words(key, stream, call, pending)
        u = (low | high << 32).numpy().view(np.uint64)
        accepted = u <= last
        out[pending.numpy()[accepted]] = u[accepted] % np.uint64(bound)
        pending = pending[torch.from_numpy(~accepted)]
        call += 1
    return torch.from_numpy(out.view(np.int64))


def _initialisation_words(
    key: int, stream: int, call: int, blocks: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    low, high = (torch.tensor(word, dtype=torch.int64) for word in (stream & _WORD, stream >> 32))
    return philox(key, (torch.tensor(call, dtype=torch.int64), blocks, low, high))
