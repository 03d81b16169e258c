"""Small torch blocks, likelihoods and losses; they know nothing of files or tables."""

from .inference import Chunk, EncoderArrays, FastEncoder
from .losses import Elbo, elbo
from .posterior import GaussianPosterior
from .scatter import PublishedScatterNetwork, ScatterNetwork, StarkinScatterNetwork

__all__ = [
    "Chunk",
    "Elbo",
    "EncoderArrays",
    "FastEncoder",
    "GaussianPosterior",
    "PublishedScatterNetwork",
    "ScatterNetwork",
    "StarkinScatterNetwork",
    "elbo",
]
