"""Quality flags: one bit each, the same bits in every catalogue."""

from __future__ import annotations

from enum import IntFlag

__all__ = ["Flag"]


class Flag(IntFlag):
    """Bits of the ``flags`` column; a star without any has 0."""

    MISSING_BP = 1
    MISSING_RP = 2
    PARTLY_MASKED = 4
    NOT_ENCODED = 8
    SYNTHETIC_G_FLUX = 16
    FAR_FROM_TRAINING = 32
    LABEL_OUT_OF_RANGE = 64
    LABEL_MISSING = 128
    NOT_CONVERGED = 256
    POOR_FIT = 512
    LOW_SNR = 1024
    NOT_NORMALISED = 2048

    @classmethod
    def legend(cls) -> dict[int, str]:
        """Bit value to meaning, for catalogue headers and the report."""
        return {
            1: "BP spectrum missing",
            2: "RP spectrum missing",
            4: "some values masked",
            8: "nothing usable: latents are not a number",
            16: "G flux synthesised from the coefficients",
            32: "unlike the training spectra",
            64: "a label lies outside the trained range",
            128: "a label the model needs is missing",
            256: "the fit of the labels did not converge",
            512: "the best labels do not fit the spectrum",
            1024: "signal-to-noise below that of the training spectra",
            2048: "flux does not look continuum-normalised",
        }
