"""Files in and out."""

from .latents import Latents

__all__ = ["Latents"]
