"""The safety checker that comes with some bases: a CLIP model that compares a picture with concepts it must not show.

::

    FOLDER/safety_checker/      config.json, model.safetensors       StableDiffusionSafetyChecker
    FOLDER/feature_extractor/   preprocessor_config.json             CLIPImageProcessor
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import safetensors
import torch

from covergen_cli.errors import ModelError
from covergen_cli.models.fingerprint import SAFETY_CHECKER, loading_error, weight_files

if TYPE_CHECKING:
    from PIL import Image


class SafetyChecker:
    """A safety checker, loaded in float32 on the CPU.

    Args:
        name: name of the model that it comes with, for messages.
        folder: folder of that model.

    Raises:
        ModelError: a file is missing or damaged.
    """

    def __init__(self, name: str, folder: Path) -> None:
        from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
        from transformers import CLIPImageProcessor

        self._name = name
        variant = weight_files(folder / SAFETY_CHECKER, "model").variant
        try:
            self._processor = CLIPImageProcessor.from_pretrained(folder / "feature_extractor", local_files_only=True)
            self._network = StableDiffusionSafetyChecker.from_pretrained(
                folder / SAFETY_CHECKER,
                local_files_only=True,
                use_safetensors=True,
                variant=variant,
                torch_dtype=torch.float32,
            )
        except (OSError, ValueError, RuntimeError, TypeError, KeyError, safetensors.SafetensorError) as error:
            raise loading_error(folder / SAFETY_CHECKER, error) from error
        self._network.requires_grad_(requires_grad=False)
        self._network.train(mode=False)

    def check(self, image: Image.Image) -> None:
        """Check an RGB picture of any size.

        Raises:
            ModelError: the checker takes it for one that is not safe to show.
        """
        pixels = self._processor(images=image, return_tensors="pt").pixel_values
        with torch.inference_mode():
            _, flagged = self._network(clip_input=pixels, images=np.zeros((1, 1, 1, 3)))
        if flagged[0]:
            raise ModelError(
                f"the safety checker of {self._name} takes the picture for one that is not safe to show",
                hint="Nothing was written. Try another --seed.",
            )
