"""Synthetic Gaia XP surveys with known truth."""

from .survey import PRESETS, SurveyConfig, iterate_survey, simulate_survey

__all__ = ["PRESETS", "SurveyConfig", "iterate_survey", "simulate_survey"]
