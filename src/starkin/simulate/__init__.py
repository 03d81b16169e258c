"""Synthetic Gaia XP surveys with known truth."""

from .config import PRESETS, SurveyConfig
from .survey import iterate_survey, simulate_survey

__all__ = ["PRESETS", "SurveyConfig", "iterate_survey", "simulate_survey"]
