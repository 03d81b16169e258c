"""Synthetic stars with known truth."""
