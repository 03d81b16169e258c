"""SIMBAD's object types: codes, labels and the tree they form, and groups in people's words.

The tree is that of 2022, published by the CDS ("Object types in SIMBAD",
https://simbad.cds.unistra.fr/guide/otypes.htx; the column ``path`` of the TAP
table ``otypedef``). In SIMBAD a code that ends in ``?`` is a candidate; it
stands where the confirmed type stands.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["GROUPS", "UNKNOWN", "ObjectType", "ancestors", "find", "group"]

#: Group of stars that SIMBAD does not have or knows nothing about.
UNKNOWN = "unknown"

# One type a line: depth by indentation, code, label, candidate code (or nothing).
_TREE = """
* Star
 Ma* Massiv* Ma?
  bC* bCepV* bC?
  sg* Supergiant sg?
   s*r RedSG s?r
   s*y YellowSG s?y
   s*b BlueSG s?b
    WR* WolfRayet* WR?
  N* Neutron* N*?
   Psr Pulsar
 Y*O YSO Y*?
  Or* OrionV*
  TT* TTauri* TT?
  Ae* Ae* Ae?
  out Outflow of?
   HH HerbigHaroObj
 MS* MainSequence* MS?
  Be* Be* Be?
  BS* BlueStraggler BS?
   SX* SXPheV*
  gD* gammaDorV*
  dS* delSctV*
 Ev* Evolved* Ev?
  RG* RGB* RB?
  HS* HotSubdwarf HS?
  HB* HorBranch* HB?
   RR* RRLyrae RR?
  WV* Type2Cep WV?
  Ce* Cepheid Ce?
   cC* ClassicalCep
  C* C* C*?
  S* S* S*?
  LP* LongPeriodV* LP?
  AB* AGB* AB?
   Mi* Mira Mi?
  OH* OH/IR* OH?
  pA* post-AGB* pA?
  RV* RVTauV* RV?
  PN PlanetaryNeb PN?
  WD* WhiteDwarf WD?
 Pe* ChemPec* Pe?
  a2* alf2CVnV* a2?
  RC* RCrBV* RC?
 ** ** **?
  EB* EclBin EB?
  El* EllipVar El?
  SB* SB* SB?
  RS* RSCVnV* RS?
  BY* BYDraV* BY?
  Sy* Symbiotic* Sy?
  XB* XrayBin XB?
   LXB LowMassXBin LX?
   HXB HighMassXBin HX?
  CV* CataclyV* CV?
   No* Nova No?
 SN* Supernova SN?
 LM* Low-Mass* LM?
  BD* BrownD* BD?
 Pl Planet Pl?
 V* Variable* V*?
  Ir* IrregularV*
  Er* Eruptive* Er?
  Ro* RotV* Ro?
  Pu* PulsV* Pu?
 Em* EmLine*
 PM* HighPM*
 HV* HighVel*
Cl* Cluster* C?*
 GlC GlobCluster Gl?
 OpC OpenCluster
As* Association As?
 St* Stream
 MGr MouvGroup
ISM ISM
 SFR StarFormingReg
 HII HIIReg
 Cld Cloud
  GNe GalNeb
   RNe RefNeb
  MoC MolCld
  DNe DarkNeb
  glb globule
  CGb ComGlob
  HVC HVCld
 cor denseCore
 bub Bubble
 SNR SNRemnant SR?
 sh HIshell
 flt Filament
G Galaxy G?
 LSB LowSurfBrghtG
 bCG BlueCompactG
 SBG StarburstG
 H2G HIIG
 EmG EmissionG
 AGN AGN AG?
  SyG Seyfert
   Sy1 Seyfert1
   Sy2 Seyfert2
  rG RadioG
  LIN LINER
  QSO QSO Q?
   Bla Blazar Bz?
    BLL BLLac BL?
 GiP GinPair
 GiG GtowardsGroup
 GiC GtowardsCl
  BiC BrightestCG
IG InteractingG
PaG PairG
GrG GroupG Gr?
 CGG Compact_Gr_G
ClG ClG C?G
PCG protoClG PCG?
SCG SuperClG SC?
vid Void
grv Gravitation
 Lev LensingEv
 gLS GravLensSystem LS?
  gLe GravLens Le?
  LeI LensedImage LI?
   LeG LensedG
   LeQ LensedQ
 BH BlackHole BH?
 GWE GravWaveEvent
ev Transient
var Variable
Rad Radio
 mR Radio(m)
 cm Radio(cm)
 mm Radio(mm)
 smm Radio(sub-mm)
 HI HI
 rB radioBurst
 Mas Maser
IR Infrared
 FIR FarIR
 MIR MidIR
 NIR NearIR
Opt Optical
EmO EmObj
blu Blue
UV UV
X X
 ULX ULX UX?
gam gamma
 gB gammaBurst
mul Blend
err NotAnObject
PoC PartofCloud
PoG PartofG
? Unknown
reg Region
"""

# The nearest of these among a type and its ancestors names its group.
_GROUP_OF = {
    "?": UNKNOWN,
    "*": "stars without type",
    "Ma*": "massive stars",
    "sg*": "supergiants",
    "WR*": "Wolf-Rayet stars",
    "N*": "neutron stars",
    "Y*O": "young stars",
    "MS*": "main sequence",
    "Be*": "emission-line stars",
    "Em*": "emission-line stars",
    "Ev*": "giants",
    "RG*": "giants",
    "HS*": "hot subdwarfs",
    "HB*": "horizontal branch",
    "WV*": "Cepheids",
    "Ce*": "Cepheids",
    "C*": "carbon stars",
    "S*": "S stars",
    "LP*": "long-period variables",
    "Mi*": "long-period variables",
    "OH*": "long-period variables",
    "AB*": "AGB stars",
    "pA*": "post-AGB stars",
    "RV*": "post-AGB stars",
    "PN": "planetary nebulae",
    "WD*": "white dwarfs",
    "Pe*": "chemically peculiar stars",
    "**": "binaries",
    "EB*": "eclipsing binaries",
    "Sy*": "symbiotic stars",
    "XB*": "interacting binaries",
    "CV*": "interacting binaries",
    "SN*": "supernovae",
    "LM*": "low-mass stars",
    "BD*": "brown dwarfs",
    "Pl": "planets",
    "V*": "variable stars",
    "PM*": "stars without type",
    "HV*": "stars without type",
    "G": "galaxies and quasars",
    **dict.fromkeys(("IG", "PaG", "GrG", "ClG", "PCG", "SCG", "vid"), "galaxies and quasars"),
    **dict.fromkeys(("LeG", "LeQ"), "galaxies and quasars"),
    **dict.fromkeys(("Cl*", "As*"), "clusters and associations"),
    "ISM": "interstellar matter",
}
_REST = "other sources"

#: All groups, :data:`UNKNOWN` first.
GROUPS = tuple(dict.fromkeys([*_GROUP_OF.values(), _REST]))


@dataclass(frozen=True)
class ObjectType:
    """A type of SIMBAD.

    Attributes
    ----------
    code : str
        Such as ``"LP?"``.
    label : str
        Such as ``"LongPeriodV*_Candidate"``.
    path : tuple of str
        Codes from the root of the tree to the (confirmed) type, ``("*", "Ev*", "LP*")``.
    is_candidate : bool
    """

    code: str
    label: str
    path: tuple[str, ...]
    is_candidate: bool = False


def _parse() -> dict[str, ObjectType]:
    types: dict[str, ObjectType] = {}
    above: list[str] = []
    for line in _TREE.strip("\n").splitlines():
        depth = len(line) - len(line.lstrip(" "))
        code, label, *candidate = line.split()
        above = [*above[:depth], code]
        types[code] = ObjectType(code, label, tuple(above))
        for other in candidate:
            types[other] = ObjectType(other, f"{label}_Candidate", tuple(above), True)
    return types


_BY_CODE = _parse()
_BY_LABEL = {t.label.lower(): t for t in _BY_CODE.values()}


def find(text: str | None) -> ObjectType | None:
    """The type with this code, or with this label in any case; None if there is none."""
    text = (text or "").strip()
    return _BY_CODE.get(text) or _BY_LABEL.get(text.lower())


def ancestors(text: str) -> tuple[str, ...]:
    """Codes from the root of the tree to the type itself; empty when it is not known."""
    found = find(text)
    return found.path if found else ()


def group(text: str | None) -> str:
    """In which of :data:`GROUPS` a type belongs; :data:`UNKNOWN` for nothing or nonsense.

    >>> group("RB?"), group("Mi*"), group("EclBin"), group("")
    ('giants', 'long-period variables', 'eclipsing binaries', 'unknown')
    """
    path = ancestors(text or "")
    if not path:
        return UNKNOWN
    return next((_GROUP_OF[code] for code in reversed(path) if code in _GROUP_OF), _REST)
