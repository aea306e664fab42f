"""Our backbones as vision towers of transformers' LLaVA. Needs transformers, which no extra brings.

`register` adds a configuration and a model to transformers' `AutoConfig` and `AutoModel`, so that
LLaVA builds, saves and reads a wavevit backbone like any other tower. Call it before you read such
a model.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from torch import Tensor, nn

from wavevit.checks import fail
from wavevit.models import Backbone, BackboneConfig
from wavevit.models.init import init_weights

__all__ = ["TowerClasses", "register", "vision_tower"]

_NAME = "wavevit_vision"


class TowerClasses(NamedTuple):
    """The classes that `register` adds to transformers.

    Attributes:
        config: a ``PreTrainedConfig`` with ``backbone`` (a `wavevit.BackboneConfig` as a dict) and
            ``global_pool`` (the pooling, where it is not the configuration's).
        model: a ``PreTrainedModel`` with ``backbone`` (a `wavevit.Backbone`).
    """

    config: Any
    model: Any


@functools.cache
def register() -> TowerClasses:
    """Registers the tower in transformers, as the model type ``"wavevit_vision"``.

    The tower's hidden states are sequences (B, h·w, D), one for each entry of the backbone's
    `feature_info`, normalised where its final norm fits, and without the class token. So LLaVA
    needs ``vision_feature_layer=-1`` (or another block of a columnar model) and
    ``vision_feature_select_strategy="full"``.

    Raises:
        ImportError: transformers is not installed.

    Guarantees:
        A LLaVA model with such a tower is trained, saved, and read back bit-equal
        (tests/contract/test_llava.py).
    """
    try:
        import transformers
        from transformers.modeling_outputs import BaseModelOutputWithPooling
    except ModuleNotFoundError as error:
        raise ImportError("this needs transformers: pip install transformers") from error

    class WavevitVisionConfig(transformers.PreTrainedConfig):
        """Configuration of `WavevitVisionModel`."""

        model_type = _NAME
        backbone: dict[str, Any] | None = None
        global_pool: str | None = None
        hidden_size: int = 0
        image_size: int | list[int] = 0
        patch_size: int = 0

        def __post_init__(self, **kwargs: Any) -> None:
            if self.backbone is not None:  # transformers builds a configuration without arguments
                config = BackboneConfig.from_dict(self.backbone)
                self.hidden_size = config.stages[-1].embed_dim
                self.image_size = list(config.image_size)
                self.patch_size = config.strides[-1]
            super().__post_init__(**kwargs)

    class WavevitVisionModel(transformers.PreTrainedModel):
        """A `wavevit.Backbone` without a head."""

        config_class = WavevitVisionConfig
        base_model_prefix = "backbone"
        main_input_name = "pixel_values"
        input_modalities = "image"
        supports_gradient_checkpointing = True
        _supports_sdpa = True

        def __init__(self, config: Any) -> None:
            super().__init__(config)
            if config.backbone is None:
                fail("config.backbone", "a BackboneConfig as a dict", None)
            self.backbone = Backbone(BackboneConfig.from_dict(config.backbone))
            self.backbone.reset_classifier(0, config.global_pool)
            self.post_init()

        def _init_weights(self, module: nn.Module) -> None:
            init_weights(module)

        # transformers sets this attribute of every module that has it, also from the model around.
        @property
        def gradient_checkpointing(self) -> bool:
            return bool(self.backbone.stages[0].grad_checkpointing)

        @gradient_checkpointing.setter
        def gradient_checkpointing(self, enable: bool) -> None:
            self.backbone.set_grad_checkpointing(enable)

        def get_input_embeddings(self) -> nn.Module:
            return self.backbone.tokenizer

        def forward(
            self,
            pixel_values: Tensor,
            output_hidden_states: Any = None,
            return_dict: bool | None = None,
            **_: Any,
        ) -> Any:
            found = self.backbone.forward_intermediates(
                pixel_values.to(self.device, self.dtype),
                norm=True,
                output_fmt="NLC",
                output_dict=True,
            )
            states = found["image_intermediates"]
            output = BaseModelOutputWithPooling(
                last_hidden_state=states[-1],
                pooler_output=self.backbone.forward_head(found["image_features"], pre_logits=True),
                # A layer's number, which may be 0, asks for them too.
                hidden_states=None if output_hidden_states in (None, False) else tuple(states),
            )
            return output.to_tuple() if return_dict is False else output

    transformers.AutoConfig.register(_NAME, WavevitVisionConfig)
    transformers.AutoModel.register(WavevitVisionConfig, WavevitVisionModel)
    return TowerClasses(WavevitVisionConfig, WavevitVisionModel)


def vision_tower(backbone: Backbone) -> Any:
    """A transformers model with a copy of a backbone's weights.

    Its ``config`` is the ``vision_config`` of LLaVA; put the tower itself in place of the one that
    LLaVA builds from it.

    Args:
        backbone: trained or not; its head is left out. The tower pools as the backbone does; where
            that does not pool (``global_pool=""``), as its configuration says.

    Raises:
        ImportError: transformers is not installed.
        ValueError: no `Backbone`.

    Example:
        >>> tower = vision_tower(backbone)  # doctest: +SKIP
        >>> config = LlavaConfig(  # doctest: +SKIP
        ...     vision_config=tower.config, text_config=text_config, vision_feature_layer=-1,
        ...     vision_feature_select_strategy="full")
        >>> model = LlavaForConditionalGeneration(config)  # doctest: +SKIP
        >>> model.model.vision_tower = tower  # doctest: +SKIP
    """
    if not isinstance(backbone, Backbone):
        fail("backbone", "a wavevit.Backbone", type(backbone).__name__)
    classes = register()
    pool = backbone.global_pool or None
    tower = classes.model(classes.config(backbone=backbone.config.to_dict(), global_pool=pool))
    own = tower.backbone.state_dict()
    tower.backbone.load_state_dict({k: v for k, v in backbone.state_dict().items() if k in own})
    reference = next(backbone.parameters())
    return tower.to(device=reference.device, dtype=reference.dtype).train(backbone.training)
