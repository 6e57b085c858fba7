"""Language models at work: generation from prompts."""

from __future__ import annotations

from minillm.inference.generation import TokenStream, generate, stream_tokens
from minillm.inference.generation_config import GenerationConfig
from minillm.inference.generation_mixin import GenerationMixin
from minillm.inference.quantization import quantize_dynamic
from minillm.inference.sampling import Sampling
from minillm.inference.streamers import TextIteratorStreamer, TextStreamer
from minillm.inference.text import StopStrings, generate_text, stream_text

__all__ = [
    "GenerationConfig",
    "GenerationMixin",
    "Sampling",
    "StopStrings",
    "TextIteratorStreamer",
    "TextStreamer",
    "TokenStream",
    "generate",
    "generate_text",
    "quantize_dynamic",
    "stream_text",
    "stream_tokens",
]
