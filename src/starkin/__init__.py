"""Starkin: find a star's kin from its spectrum alone."""

__version__ = "0.1.0"
