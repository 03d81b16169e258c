"""Units as VOTable and FITS spell them, and back.

Neither standard knows the electron of Gaia's fluxes; the archive writes it in
quotes, as VOUnit allows for units of one's own, and so do we.
"""

from __future__ import annotations

import warnings

from astropy import units as u

__all__ = ["parse_unit", "vo_text"]


def vo_text(unit: u.UnitBase | str | None) -> str | None:
    """VOUnit text of ``unit``, with quotes round what VOUnit does not know."""
    parsed = parse_unit(unit)
    if parsed is None or str(parsed) == "":
        return None
    try:
        return str(parsed.to_string("vounit"))
    except ValueError:
        if not isinstance(parsed, u.CompositeUnit):
            return str(parsed)
        quoted = {u.electron: "'electron'"}
        factors = sorted(zip(parsed.bases, parsed.powers, strict=True), key=lambda f: -f[1])
        return ".".join(
            quoted.get(base, base.name) + ("" if power == 1 else f"**{power}")
            for base, power in factors
        )


def parse_unit(text: u.UnitBase | str | None) -> u.UnitBase | None:
    """The unit that any of the formats means; unknown text is kept as it stands."""
    if text is None:
        return None
    plain = str(text).replace("'", "")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", u.UnitsWarning)
        for format_ in (None, "vounit", "cds"):
            unit = u.Unit(plain, format=format_, parse_strict="silent")
            if not isinstance(unit, u.UnrecognizedUnit):
                return unit
    return unit
