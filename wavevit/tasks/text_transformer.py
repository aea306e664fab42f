"""Pre-norm transformer on bytes: text tower of a contrastive model, decoder of a captioner."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.checks import check_at_least, fail
from wavevit.layers.blocks import Block, Mlp
from wavevit.layers.mixers import GlobalAttention
from wavevit.tasks.text import PAD, VOCABULARY

__all__ = ["TextTransformer"]


class TextTransformer(nn.Module):
    """Token and position embeddings, pre-norm blocks, a final norm.

    Args:
        dim: channels of a token.
        depth: number of blocks.
        num_heads: heads of the attention, a divisor of `dim`.
        context: largest number of tokens of a text.
        causal: a token attends to itself and to earlier tokens only; otherwise to all tokens but
            `PAD`.

    Guarantees:
        With `causal`, a token's output does not depend on later tokens, and the outputs of a prefix
        do not depend on the text; `extend`, token by token, gives what `run` gives
        (tests/properties/test_captioning_laws.py).
    """

    def __init__(
        self, dim: int, depth: int, num_heads: int, context: int, causal: bool = True
    ) -> None:
        super().__init__()
        check_at_least("depth", depth, 1)
        check_at_least("context", context, 3)
        self.dim, self.context, self.causal = dim, context, causal
        self.token = nn.Embedding(VOCABULARY, dim)
        self.position = nn.Parameter(torch.empty(context, dim))
        self.blocks = nn.ModuleList(
            Block(dim, GlobalAttention(dim, num_heads), Mlp(dim, 4 * dim), 0.0, 1e-6)
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Normal weights of 0.02; those that end a branch are smaller with depth, as in GPT-2."""
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)
        nn.init.normal_(self.position, std=0.01)
        small = 0.02 * (2 * len(self.blocks)) ** -0.5
        for block in self.blocks:
            nn.init.normal_(block.mixer.proj.weight, std=small)  # type: ignore[union-attr,arg-type]
            nn.init.normal_(block.mlp.fc2.weight, std=small)  # type: ignore[union-attr,arg-type]

    def embed(self, tokens: Tensor, start: int = 0) -> Tensor:
        """Tokens (B, L), the first at place `start`, to embeddings with positions (B, L, D).

        Raises:
            ValueError: more tokens than the context.
        """
        end = start + tokens.shape[1]
        if end > self.context:
            fail("tokens", f"at most {self.context} of them (the context)", end)
        embedded: Tensor = self.token(tokens) + self.position[start:end]
        return embedded

    def run(
        self, embedded: Tensor, prefix: Tensor | None = None, padding: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Outputs of a prefix and of a text.

        Args:
            embedded: (B, L, D), as `embed` gives them.
            prefix: (B, P, D) tokens in front, for a causal model: they attend to each other, and
                every token of the text attends to them.
            padding: (B, L) True at padded tokens, to which no token attends; a causal model needs
                none, because padding is at the end.

        Returns:
            (B, P, D), P = 0 without a prefix, and (B, L, D), normalised.
        """
        count = 0 if prefix is None else prefix.shape[1]
        x = embedded if prefix is None else torch.cat([prefix.to(embedded.dtype), embedded], dim=1)
        length = x.shape[1]
        mask = None
        if self.causal:
            mask = torch.ones(length, length, dtype=torch.bool, device=x.device).tril()
            mask[:, :count] = True
        elif padding is not None:
            mask = ~padding[:, None, None]
        for block in self.blocks:
            x = block(x, (length, 1), mask)
        x = self.norm(x)
        return x[:, :count], x[:, count:]

    def extend(self, x: Tensor, memory: list[tuple[Tensor, Tensor]]) -> Tensor:
        """Outputs of the next tokens of a causal model, without those before them again.

        Args:
            x: (B, N, D), a prefix at the first call, one embedded token at each further call.
                They attend to each other and to everything in `memory`.
            memory: keys and values of each block, changed in place. Start with an empty list.

        Returns:
            (B, N, D), normalised.
        """
        first = not memory
        for index, block in enumerate(self.blocks):
            assert isinstance(block, Block)
            assert isinstance(block.mixer, GlobalAttention)
            query, *own = block.mixer.queries_keys_values(block.norm1(x))
            if first:
                memory.append((own[0], own[1]))
            else:
                key, value = (
                    torch.cat(pair, dim=2) for pair in zip(memory[index], own, strict=True)
                )
                memory[index] = key, value
            attended = F.scaled_dot_product_attention(query, *memory[index])
            x = x + block.mixer.proj(attended.transpose(1, 2).flatten(2))
            x = x + block.mlp(block.norm2(x), (x.shape[1], 1))
        normalised: Tensor = self.norm(x)
        return normalised

    def forward(self, tokens: Tensor, prefix: Tensor | None = None) -> Tensor:
        """Tokens (B, L), and a prefix (B, P, D) as in `run`, to outputs of the text (B, L, D)."""
        padding = None if self.causal else tokens == PAD
        return self.run(self.embed(tokens), prefix, padding)[1]
