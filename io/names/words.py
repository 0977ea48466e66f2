"""What a description says of a band by itself: words for colours, a sensor's number, or a place in a stack.

A description means a common name if it holds one, in English or another language, and nothing else that could change
its meaning: ``Band 2 - Blue``, ``sr_red``, ``Grün``, ``Near Infrared`` do, ``red std`` and ``blue sky index`` do not.
Numbers are told apart by how they are spelt: ``B4``, ``B04``, ``SR_B4`` and ``B8A`` are a sensor's, ``b4`` and
``Band 4`` are the fourth band of a stack, which need not be any sensor's.
"""

import re
import unicodedata
from dataclasses import dataclass

from segflow.io.names.sensors import MODIS_SPELLING, PADDED, PLAIN, REFLECTANCE, TEMPERATURE, Names

_VOCABULARY = """
coastal   coastal, coastal aerosol, coastal blue, ultra blue, deep blue, kustenblau, aerosol cotier
blue      blue, blau, blaues, blauer, bleu, bleue, azul, blu, blauw, blauwe, albastru, niebieski, niebieska, modra
blue      modry, bla, blatt, sininen, mavi, kek, plava, plavi, biru, синий, синяя, blaukanal, blaulicht, μπλε
blue      蓝, 藍, 青, 蓝光, 蓝色, 蓝波段, 蓝光波段
green     green, grun, grunes, gruner, gruen, gruenes, vert, verte, verde, groen, groene, verd, zielony, zielona, zelena
green     gron, gront, vihrea, yesil, zold, hijau, зеленый, зелёная, grunkanal, gruenkanal, πράσινο, 绿, 綠, 緑, 绿光
green     绿色, 绿波段, 绿光波段, zeleny
yellow    yellow, gelb, jaune, amarillo, amarelo, giallo, geel, zolty, gul, желтый, 黄
red       red, rot, rotes, roter, rouge, rojo, roja, vermelho, vermelha, rosso, rossa, rood, rode, vermell, rosu
red       czerwony, czerwona, cervena, cerveny, crvena, crveni, rdeca, rod, rodt, rott, punainen, kirmizi, piros
red       voros, merah
red       красный, красная, rotkanal, κόκκινο, 红, 紅, 赤, 红光, 红色, 红波段, 红光波段
rededge   red edge, rededge, vegetation red edge, roter rand, borde rojo, bord rouge, 红边
rededge1  red edge 1, rededge 1, rededge1, vegetation red edge 1, rededge071, re1, red edge1
rededge2  red edge 2, rededge 2, rededge2, vegetation red edge 2, rededge075, re2, red edge2
rededge3  red edge 3, rededge 3, rededge3, vegetation red edge 3, rededge078, re3, red edge3
nir       nir, near infrared, near infra red, near ir, nearinfrared, nahes infrarot, nahe infrarot, nahinfrarot
nir       naher infrarot, infrarouge proche, proche infrarouge, proche ir, pir, infrarrojo cercano, infrarojo cercano
nir       infravermelho proximo, infrarosso vicino, vicino infrarosso, nabij infrarood, nabij ir, bliska podczerwien
nir       infrarrojo proximo, nah infrarot, nahes ir
nir       nara infrarott, naer infrarod, nar infrarod, lahi infrapuna, blizke infracervene, inframerah dekat
nir       ближний инфракрасный, ближний ик, 近红外, 近赤外, 近紅外, yakin kizilotesi
nir07     nir07
nir08     nir08, nir narrow, narrow nir, narrow near infrared, near infrared narrow, nir 8a
nir09     nir09, water vapour, water vapor
swir      swir, shortwave infrared, short wave infrared, kurzwelliges infrarot
swir16    kurzwelliges infrarot 1
swir16    swir16, swir1, swir 1, shortwave infrared 1, short wave infrared 1, short wave ir 1, shortwave ir 1
swir22    kurzwelliges infrarot 2
swir22    swir22, swir2, swir 2, shortwave infrared 2, short wave infrared 2, short wave ir 2, shortwave ir 2
pan       pan, panchro, panchromatic, panchromatique, panchromatisch, pancromatico, pancromatica
cirrus    cirrus
lwir      lwir, thermal, thermal infrared, tir, longwave infrared, long wave infrared, thermisch, thermique, termico
lwir11    lwir11, tirs1, tirs 1, thermal infrared 1
lwir12    lwir12, tirs2, tirs 2, thermal infrared 2
"""
_ALSO: dict[str, Names] = {
    "nir08": ("nir",),
    "swir16": ("swir1",),
    "swir22": ("swir2",),
    "rededge1": ("rededge",),
}
_NOISE_TEXT = """
band bande banda bands banden kanal canal channel kanaal layer layers spectral multispectral the of at and in
sr st toa boa rho refl reflec reflectance reflectancia reflektanz reflectanz reflectivity radiance surface sur
ground bottom top atmosphere atmospheric corrected scaled raw dn data true colour color couleur farbe light licht
luz lumiere luce m visible vis visual rgb wavelength
wavelengths central center centre nm um μm micrometers micrometer nanometers
micron microns 10m 15m 20m 30m 60m msi oli etm tm tirs l1c l2a l1tp l2sp sentinel sentinel2 sentinel2a sentinel2b
landsat landsat8 landsat9 landsat7 landsat5 hls s2 s2a s2b l5 l7 l8 l9 naip planetscope planet image img value values
float float32 uint8 uint16 int16 byte median mean medoid mosaic composite resampled clip clipped reprojected
"""
_NOISE = frozenset(_NOISE_TEXT.split())  # words that leave the meaning as it is
_DECIMALS = re.compile(r"\d+[.,]\d+")  # wavelengths in µm, which say nothing that the words do not
_CAMEL = re.compile(r"(?<=[a-z]{2})(?=[A-Z][a-z]{2})")  # NearInfrared
_FIGURE = re.compile(r"^\d+(?:nm|um|μm|m)?$")
_ORDINAL = re.compile(r"^[1-9]$")
_LONGEST = 4  # words of a phrase
_LETTERS = str.maketrans({"ø": "o", "Ø": "O", "å": "a", "Å": "A", "æ": "ae", "\u0131": "i", "ł": "l", "Ł": "L"})
_COUNTING = "band|bande|banda|kanal|layer|lyr|channel|canal|kanaal"
_PLACE = re.compile(rf"^(?:b|{_COUNTING})?([1-9]\d*)$")
_SAYS_NOTHING = re.compile(rf"^(?:{_COUNTING})?(\d+)$")
_MODIS_NUMBER = re.compile(r"(?i)(?<![a-z0-9])sur_refl_b0?([1-7])(?![a-z0-9])")
_NUMBER = re.compile(
    r"(?<![A-Za-z0-9])(?:(?P<kind>SR|ST|sr|st|TOA|toa|BOA|boa)[ _-]?)?(?:(?P<b>[Bb])|(?P<band>[Bb](?:and|AND)[ _]?))"
    r"(?P<number>0?[1-9]|1\d|8[Aa]|08[Aa]|3[NnBb]|0)(?![A-Za-z0-9])"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What a description says of a band.

    Attributes
    ----------
    names
        Common names that its words certainly mean, the usual one first.
    number
        The band's number as a sensor has it, ``4`` or ``8A``, or empty.
    spelling
        How the number is spelt, one of those in `segflow.io.names.sensors`; empty where ``B11`` and ``B8A`` fit many.
    place
        The place in a stack that it names, or None; of ``B4``, which may be either, too.
    """

    names: Names = ()
    number: str = ""
    spelling: str = ""
    place: int | None = None


def plain_words(text: str) -> list[str]:
    """Give the words of a text in lower case, without accents and punctuation."""
    flat = unicodedata.normalize("NFKD", text.translate(_LETTERS))
    letters = "".join(sign for sign in flat if not unicodedata.combining(sign)).casefold()
    return re.findall(r"[^\W_]+", letters)


_PHRASES = {
    " ".join(plain_words(phrase)): line.split()[0]
    for line in _VOCABULARY.strip().splitlines()
    for phrase in line.partition(" ")[2].split(",")
}


def read_meaning(text: str) -> Meaning:
    """Read what a description or a name says by itself, no sensor being known."""
    number, spelling, rest = _take_number(text)
    if rest is None:
        return Meaning()
    found, others = _take_words(plain_words(_CAMEL.sub(" ", _DECIMALS.sub(" ", rest))))
    if len(found) > 1 or others:
        return Meaning()
    place = None if found else _place(text)
    if found:
        name = found.pop()
        return Meaning(names=(name, *_ALSO.get(name, ())), number=number, spelling=spelling)
    return Meaning(number=number, spelling=spelling, place=place)


def place_of(name: str) -> int | None:
    """Give the place in a stack that a name merely counts: ``b6``, ``band 6``, ``Layer_6``; None for other names."""
    return read_meaning(name).place


def says_nothing(text: str) -> bool:
    """Tell whether a description merely counts bands: ``Band 1``, ``layer_2``; ``b1`` is a name, if a poor one."""
    return _SAYS_NOTHING.match("".join(plain_words(text))) is not None


def _place(text: str) -> int | None:
    match = _PLACE.match("".join(plain_words(text)))
    return int(match.group(1)) if match else None


def _take_number(text: str) -> tuple[str, str, str | None]:
    """Give the number of a sensor's band, how it is spelt, and the text without it; None for a text with two.

    ``b4`` and ``Band 4`` are no sensor's: they are left in the text, or taken out as mere counting.
    """
    modis = _MODIS_NUMBER.findall(text)
    if modis:
        return (modis[0], MODIS_SPELLING, _MODIS_NUMBER.sub(" ", text)) if len(modis) == 1 else ("", "", None)
    found = [match for match in _NUMBER.finditer(text) if not _counts(match)]
    rest = _NUMBER.sub(" ", text)
    if not found:
        return "", "", rest
    if len({_number(match) for match in found}) > 1:
        return "", "", None
    return _number(found[0]), _spelling(found[0]), rest


def _counts(match: re.Match[str]) -> bool:
    """Tell whether a number only counts: ``b4``, ``Band 4``; not ``B4``, ``b04``, ``b8a``, ``sr_b4``, ``sr_band4``."""
    if match["kind"] and match["kind"].lower() in {"sr", "st"}:
        return False
    if match["band"]:
        return True
    return match["b"] == "b" and match["number"].isdecimal() and not match["number"].startswith("0")


def _number(match: re.Match[str]) -> str:
    return match["number"].upper().lstrip("0") or "0"


def _spelling(match: re.Match[str]) -> str:
    kind = (match["kind"] or "").lower()
    if kind in {"sr", "st"}:
        return REFLECTANCE if kind == "sr" else TEMPERATURE
    number = match["number"]
    if len(number) > 1 and number.startswith("0"):
        return PADDED
    return PLAIN if len(number) == 1 else ""


def _take_words(words: list[str]) -> tuple[set[str], list[str]]:
    """Give the common names that words hold, and the words that mean neither those nor nothing."""
    found: set[str] = set()
    rest, index = [], 0
    while index < len(words):
        for length in range(min(_LONGEST, len(words) - index), 0, -1):
            phrase = " ".join(words[index : index + length])
            if phrase in _PHRASES:
                found.add(_PHRASES[phrase])
                index += length
                rest += words[index : index + 1] if _ORDINAL.match("".join(words[index : index + 1])) else []
                break
        else:
            word = words[index]
            rest += [] if word in _NOISE or _FIGURE.match(word) else [word]
            index += 1
    return found, rest
