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
    if unit is None or str(unit) == "":
        return None
    unit = u.Unit(parse_unit(unit))
    try:
        return unit.to_string("vounit")
    except ValueError:
        if not hasattr(unit, "bases"):
            return str(unit)
        quoted = {u.electron: "'electron'"}
        return ".".join(
            quoted.get(base, base.name) + ("" if power == 1 else f"**{power}")
            for base, power in sorted(
                zip(unit.bases, unit.powers, strict=True), key=lambda p: -p[1]
            )
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
