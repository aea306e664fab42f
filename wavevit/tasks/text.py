"""Text as bytes: a vocabulary of 259 tokens that needs no file and no download.

Tokens 0 to 255 are the bytes of UTF-8; `BOS`, `EOS` and `PAD` follow.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from wavevit.checks import fail

__all__ = ["BOS", "EOS", "PAD", "VOCABULARY", "WORDS", "check_texts", "decode_text", "encode_text"]

BOS, EOS, PAD = 256, 257, 258
VOCABULARY = 259

# Short texts for random batches.
WORDS = ("cat", "coin", "moon", "clock", "rocket", "brick", "grass", "gravel", "stars", "coffee")


def check_texts(argument: str, texts: Any, context: int) -> None:
    """Checks that texts can be encoded.

    Args:
        argument: name for messages.
        texts: what should be a sequence of strings.
        context: largest number of tokens of a text, with `BOS` and `EOS`.

    Raises:
        ValueError: no sequence of strings, an empty text, or more tokens than `context`.
    """
    if isinstance(texts, str) or not isinstance(texts, Sequence):
        fail(argument, "a list of strings", type(texts).__name__)
    for index, text in enumerate(texts):
        name = f"{argument}[{index}]"
        if not isinstance(text, str):
            fail(name, "a string", type(text).__name__)
        if not text.strip():
            fail(name, "a text that is not empty", repr(text))
        tokens = len(_bytes(name, text)) + 2
        if tokens > context:
            expected = f"at most {context} tokens (bytes of UTF-8, start and end)"
            fail(name, expected, f"{tokens} in {text[:40]!r}")


def encode_text(
    texts: Sequence[str], context: int, device: torch.device | None = None, argument: str = "texts"
) -> Tensor:
    """Encodes texts as bytes between `BOS` and `EOS`.

    Args:
        texts: strings, none of them empty.
        context: largest number of tokens of a text.
        device: of the result.
        argument: name of `texts` for messages.

    Returns:
        (B, L) integers, L the tokens of the longest text; shorter ones end with `PAD`.

    Raises:
        ValueError: as `check_texts`.

    Example:
        >>> encode_text(["cat", "a"], context=8).tolist()
        [[256, 99, 97, 116, 257], [256, 97, 257, 258, 258]]
    """
    check_texts(argument, texts, context)
    rows = [[BOS, *text.encode("utf-8"), EOS] for text in texts]
    longest = max(map(len, rows), default=2)
    padded = [row + [PAD] * (longest - len(row)) for row in rows]
    return torch.tensor(padded, dtype=torch.long, device=device).reshape(len(rows), longest)


def decode_text(tokens: Tensor | Iterable[Sequence[int]]) -> list[str]:
    """Decodes rows of tokens up to the first `EOS`; bytes that are no UTF-8 become U+FFFD.

    Args:
        tokens: (B, L).
    """
    rows = tokens.tolist() if isinstance(tokens, Tensor) else list(tokens)
    texts = []
    for row in rows:
        end = row.index(EOS) if EOS in row else len(row)
        texts.append(bytes(token for token in row[:end] if token < BOS).decode("utf-8", "replace"))
    return texts


def _bytes(argument: str, text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:  # half of a surrogate pair
        fail(argument, "a text that UTF-8 can encode", f"{error.object[error.start]!r}")
