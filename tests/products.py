"""Small products with the structure of real ones: Sentinel-2 .SAFE folders, Landsat Collection 2 and HLS folders."""

from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

from tests.scenes import write_scene

SAFE = "S2B_MSIL2A_20240608T140059_N0510_R067_T20LQR_20240608T173959.SAFE"
SAFE_L1C = "S2B_MSIL1C_20240608T140059_N0510_R067_T20LQR_20240608T151959.SAFE"
LANDSAT = "LC09_L2SP_230066_20220101_20220103_02_T1"
HLS = "HLS.S30.T20LQR.2020001T154911.v2.0"
_TILE = "T20LQR_20240608T140059"
_PLACE = Affine(10, 0, 300_000, 0, -10, 9_400_000)
_CLOUD_ROWS, _SHADOW_ROWS, _EMPTY_COLS = slice(0, 40), slice(40, 60), slice(0, 20)


def cloud_of(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Give where the products' clouds and cloud shadows lie: two (height, width) bool arrays."""
    cloud, shadow = np.zeros(shape, bool), np.zeros(shape, bool)
    cloud[_CLOUD_ROWS], shadow[_SHADOW_ROWS] = True, True
    return cloud, shadow


def reflectance(seed: int = 0, side: int = 200) -> np.ndarray:
    """Give surface reflectance of blue, green, red and near-infrared: (4, side, side) float64 array."""
    rng = np.random.default_rng(seed)
    return np.round(rng.uniform(0.01, 0.19, (4, side, side)), 4)


def write_jp2(path: Path, pixels: np.ndarray, transform: Affine = _PLACE, **options: object) -> Path:
    """Write a (bands, height, width) array as a lossless JPEG 2000 file."""
    count, height, width = pixels.shape
    shape = {"count": count, "height": height, "width": width, "dtype": pixels.dtype}
    lossless = {"QUALITY": "100", "REVERSIBLE": "YES", "NBITS": str(pixels.dtype.itemsize * 8)}
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", driver="JP2OpenJPEG", crs="EPSG:32720", transform=transform, **shape, **{**lossless, **options}
    ) as dataset:
        dataset.write(pixels)
    return path


def write_safe(folder: Path, *, level: str = "L2A", offset: int = -1000, tci: bool = True, seed: int = 0) -> Path:
    """Write a Sentinel-2 product; its left 20 columns are nodata, its first rows cloud and shadow."""
    root = folder / (SAFE if level == "L2A" else SAFE_L1C)
    images = root / "GRANULE" / f"{level}_T20LQR_A037931_20240608T140056" / "IMG_DATA"
    truth = reflectance(seed)
    numbers = np.rint(truth * 10000).astype(np.int64) - offset
    numbers[:, :, _EMPTY_COLS] = 0
    fine, end = (images / "R10m", "_10m") if level == "L2A" else (images, "")
    for name, band in zip(("B02", "B03", "B04", "B08"), numbers, strict=True):
        write_jp2(fine / f"{_TILE}_{name}{end}.jp2", band.astype(np.uint16)[None])
    if tci:
        white = 0.2 if level == "L2A" else 0.3558
        shown = np.clip(np.rint(1 + 254 * truth[[2, 1, 0]] / white), 1, 255)
        shown[:, :, _EMPTY_COLS] = 0
        write_jp2(fine / f"{_TILE}_TCI{end}.jp2", shown.astype(np.uint8))
    if level == "L2A":
        cloud, shadow = cloud_of(truth.shape[1:])
        scl = np.where(cloud, 9, np.where(shadow, 3, 4)).astype(np.uint8)
        scl[:, _EMPTY_COLS] = 0
        coarse = _PLACE @ Affine.scale(2)
        write_jp2(images / "R20m" / f"{_TILE}_SCL_20m.jp2", scl[None, ::2, ::2], coarse)
        write_jp2(images / "R20m" / f"{_TILE}_B11_20m.jp2", np.full((1, 100, 100), 2000, np.uint16), coarse)
    (root / f"MTD_MSI{level}.xml").write_text(_safe_metadata(level, offset))
    (root / "manifest.safe").write_text("<xfdu/>")
    return root


def _safe_metadata(level: str, offset: int) -> str:
    boa = level == "L2A"
    tag = "BOA_ADD_OFFSET" if boa else "RADIO_ADD_OFFSET"
    offsets = "".join(f'<{tag} band_id="{number}">{offset}</{tag}>' for number in range(13)) if offset else ""
    quantification = (
        '<QUANTIFICATION_VALUES_LIST><BOA_QUANTIFICATION_VALUE unit="none">10000</BOA_QUANTIFICATION_VALUE>'
        '<AOT_QUANTIFICATION_VALUE unit="none">1000.0</AOT_QUANTIFICATION_VALUE></QUANTIFICATION_VALUES_LIST>'
        if boa
        else '<QUANTIFICATION_VALUE unit="none">10000</QUANTIFICATION_VALUE>'
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><n1:Level-{level[1:]}_User_Product '
        'xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_Level-2A.xsd">'
        "<n1:General_Info><Product_Info><PRODUCT_START_TIME>2024-06-08T14:00:59.024Z</PRODUCT_START_TIME>"
        "<PROCESSING_BASELINE>05.10</PROCESSING_BASELINE></Product_Info>"
        f"<Product_Image_Characteristics>{quantification}<{tag}_LIST>{offsets}</{tag}_LIST>"
        "</Product_Image_Characteristics></n1:General_Info>"
        f"</n1:Level-{level[1:]}_User_Product>"
    )


def write_landsat(folder: Path, *, kind: str = "txt", seed: int = 0) -> Path:
    """Write a Landsat 9 Level-2 product; its left 20 columns are nodata, its first rows cloud and shadow."""
    root = folder / LANDSAT
    root.mkdir(parents=True)
    truth, place = reflectance(seed), Affine(30, 0, 300_000, 0, -30, 9_400_000)
    numbers = np.rint((truth + 0.2) / 2.75e-05).astype(np.uint16)
    numbers[:, :, _EMPTY_COLS] = 0
    for number, band in zip((2, 3, 4, 5), numbers, strict=True):
        write_scene(root / f"{LANDSAT}_SR_B{number}.TIF", band[None], nodata=0, transform=place)
    cloud, shadow = cloud_of(truth.shape[1:])
    quality = np.where(cloud, 0b1000, np.where(shadow, 0b10000, 0b1000000)).astype(np.uint16)
    quality[:, _EMPTY_COLS] = 1
    write_scene(root / f"{LANDSAT}_QA_PIXEL.TIF", quality[None], nodata=1, transform=place)
    write_scene(root / f"{LANDSAT}_ST_B10.TIF", np.full((1, 200, 200), 44000, np.uint16), nodata=0, transform=place)
    groups = {
        "PRODUCT_CONTENTS": {"LANDSAT_PRODUCT_ID": LANDSAT, "PROCESSING_LEVEL": "L2SP"},
        "IMAGE_ATTRIBUTES": {
            "SPACECRAFT_ID": "LANDSAT_9", "DATE_ACQUIRED": "2022-01-01", "SCENE_CENTER_TIME": "14:05:06.7890000Z",
        },
        "LEVEL2_SURFACE_REFLECTANCE_PARAMETERS": {
            f"REFLECTANCE_{key}_BAND_{number}": value for number in range(1, 8)
            for key, value in (("MULT", "2.75e-05"), ("ADD", "-0.2"))
        },
        "LEVEL2_SURFACE_TEMPERATURE_PARAMETERS": {
            "TEMPERATURE_MULT_BAND_ST_B10": "0.00341802", "TEMPERATURE_ADD_BAND_ST_B10": "149.0",
        },
        "LEVEL1_RADIOMETRIC_RESCALING": {
            f"REFLECTANCE_{key}_BAND_{number}": value for number in range(1, 10)
            for key, value in (("MULT", "2.0000E-05"), ("ADD", "-0.100000"))
        },
    }  # fmt: skip
    (root / f"{LANDSAT}_MTL.{kind}").write_text(_mtl(groups, kind))
    return root


def _mtl(groups: dict[str, dict[str, str]], kind: str) -> str:
    if kind == "json":
        import json

        return json.dumps({"LANDSAT_METADATA_FILE": groups})
    if kind == "xml":
        inside = "".join(
            f"<{name}>{''.join(f'<{key}>{value}</{key}>' for key, value in group.items())}</{name}>"
            for name, group in groups.items()
        )
        return f'<?xml version="1.0"?><LANDSAT_METADATA_FILE>{inside}</LANDSAT_METADATA_FILE>'
    lines = [
        line
        for name, group in groups.items()
        for line in (
            f"  GROUP = {name}",
            *(
                f"    {key} = {value if value[0] in '-0123456789' else chr(34) + value + chr(34)}"
                for key, value in group.items()
            ),
            f"  END_GROUP = {name}",
        )
    ]
    return "\n".join(["GROUP = LANDSAT_METADATA_FILE", *lines, "END_GROUP = LANDSAT_METADATA_FILE", "END"])


def write_hls(folder: Path, *, name: str = HLS, seed: int = 0) -> Path:
    """Write an HLS granule; its left 20 columns are nodata, its first rows cloud and shadow."""
    root = folder / name
    root.mkdir(parents=True)
    truth, place = reflectance(seed), Affine(30, 0, 300_000, 0, -30, 9_400_000)
    numbers = np.rint(truth * 10000).astype(np.int16)
    numbers[:, :, _EMPTY_COLS] = -9999
    near = "B08" if ".S30." in name else "B05"
    for band_name, band in zip(("B02", "B03", "B04", near), numbers, strict=True):
        write_scene(root / f"{name}.{band_name}.tif", band[None], nodata=-9999, transform=place)
    cloud, shadow = cloud_of(truth.shape[1:])
    quality = np.where(cloud, 0b10, np.where(shadow, 0b1000, 0)).astype(np.uint8)
    quality[:, _EMPTY_COLS] = 255
    write_scene(root / f"{name}.Fmask.tif", quality[None], nodata=255, transform=place)
    return root
