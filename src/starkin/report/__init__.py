"""Figures, tables and the interactive page."""
