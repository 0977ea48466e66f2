"""The tables of a GeoPackage 1.3: its own, and those of each layer with their triggers.

They are those that GDAL makes (`gpkg_ogr_contents` is its own: the number of features), so that every GIS
can edit the file. GDAL itself would bring geopandas and pandas into the process, 120 MB.

References
----------
OGC 12-128r17, GeoPackage Encoding Standard 1.3, annexes C (tables), F.3 (R-tree), F.10 (WKT of any CRS).
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from pyproj import CRS
from pyproj.exceptions import ProjError

APPLICATION = 0x47504B47  # GPKG
VERSION = 10300  # 1.3; QGIS 3.22 warns of 1.4
COLUMN = "geom"
OWN_SRS = 100_000  # numbers of reference systems without an authority's start here
UNDEFINED = 99_999  # GDAL's number for no reference system

_TABLES = """
CREATE TABLE gpkg_spatial_ref_sys (
    srs_name TEXT NOT NULL, srs_id INTEGER NOT NULL PRIMARY KEY, organization TEXT NOT NULL,
    organization_coordsys_id INTEGER NOT NULL, definition TEXT NOT NULL, description TEXT);
CREATE TABLE gpkg_contents (
    table_name TEXT NOT NULL PRIMARY KEY, data_type TEXT NOT NULL, identifier TEXT UNIQUE, description TEXT DEFAULT '',
    last_change DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
    min_x DOUBLE, min_y DOUBLE, max_x DOUBLE, max_y DOUBLE, srs_id INTEGER,
    CONSTRAINT fk_gc_r_srs_id FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id));
CREATE TABLE gpkg_ogr_contents (table_name TEXT NOT NULL PRIMARY KEY, feature_count INTEGER DEFAULT NULL);
CREATE TABLE gpkg_geometry_columns (
    table_name TEXT NOT NULL, column_name TEXT NOT NULL, geometry_type_name TEXT NOT NULL, srs_id INTEGER NOT NULL,
    z TINYINT NOT NULL, m TINYINT NOT NULL,
    CONSTRAINT pk_geom_cols PRIMARY KEY (table_name, column_name),
    CONSTRAINT uk_gc_table_name UNIQUE (table_name),
    CONSTRAINT fk_gc_tn FOREIGN KEY (table_name) REFERENCES gpkg_contents(table_name),
    CONSTRAINT fk_gc_srs FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys (srs_id));
CREATE TABLE gpkg_extensions (
    table_name TEXT, column_name TEXT, extension_name TEXT NOT NULL, definition TEXT NOT NULL, scope TEXT NOT NULL,
    CONSTRAINT ge_tce UNIQUE (table_name, column_name, extension_name));
"""
_RTREE = "http://www.geopackage.org/spec120/#extension_rtree"
_CRS_WKT = "http://www.geopackage.org/spec120/#extension_crs_wkt"
_BOX = 'ST_MinX(NEW."geom"), ST_MaxX(NEW."geom"), ST_MinY(NEW."geom"), ST_MaxY(NEW."geom")'
_HAS = '(NEW."geom" NOT NULL AND NOT ST_IsEmpty(NEW."geom"))'
_LACKS = '(NEW."geom" ISNULL OR ST_IsEmpty(NEW."geom"))'
# When, on which condition, and what is done to the index {r} of table {t}; the names are the standard's.
_TRIGGERS = {
    "{r}_insert": f'AFTER INSERT ON "{{t}}" WHEN {_HAS} BEGIN {{set}}; END',
    "{r}_update1": f'AFTER UPDATE OF "geom" ON "{{t}}" WHEN OLD.fid = NEW.fid AND {_HAS} BEGIN {{set}}; END',
    "{r}_update2": f'AFTER UPDATE OF "geom" ON "{{t}}" WHEN OLD.fid = NEW.fid AND {_LACKS} BEGIN {{drop}}; END',
    "{r}_update3": f'AFTER UPDATE ON "{{t}}" WHEN OLD.fid != NEW.fid AND {_HAS} BEGIN {{drop}}; {{set}}; END',
    "{r}_update4": f'AFTER UPDATE ON "{{t}}" WHEN OLD.fid != NEW.fid AND {_LACKS} BEGIN {{drop}}; END',
    "{r}_delete": 'AFTER DELETE ON "{t}" WHEN OLD."geom" NOT NULL BEGIN {drop}; END',
    "trigger_insert_feature_count_{t}": 'AFTER INSERT ON "{t}" BEGIN {count} + 1 {where}; END',
    "trigger_delete_feature_count_{t}": 'AFTER DELETE ON "{t}" BEGIN {count} - 1 {where}; END',
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerTable:
    """The table of one layer.

    Attributes
    ----------
    table, identifier, description
        Its name, the shown name, and a line about it.
    geometry
        Upper-case name of the type of its geometries.
    columns
        Types of its columns by name, without number and geometry.
    srs
        Number of its reference system.
    """

    table: str
    identifier: str
    description: str
    geometry: str
    columns: Mapping[str, str]
    srs: int


def index_of(table: str) -> str:
    """Give the name of a layer's spatial index."""
    return f"rtree_{table}_{COLUMN}"


def create_package(connection: sqlite3.Connection) -> None:
    """Make an empty database a GeoPackage."""
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.executescript(_TABLES)
    wgs84 = CRS.from_epsg(4326)
    for row in (
        ("Undefined Cartesian SRS", -1, "NONE", -1, "undefined", "undefined Cartesian coordinate reference system"),
        ("Undefined geographic SRS", 0, "NONE", 0, "undefined", "undefined geographic coordinate reference system"),
        ("WGS 84 geodetic", 4326, "EPSG", 4326, _wkt1(wgs84), "longitude/latitude in degrees on the WGS 84 spheroid"),
    ):
        connection.execute("INSERT INTO gpkg_spatial_ref_sys VALUES (?, ?, ?, ?, ?, ?)", row)


def add_srs(connection: sqlite3.Connection, wkt: str | None) -> int:
    """Give the number of a reference system (WKT, or None), which is added if it is not there."""
    crs = None if wkt is None else CRS.from_user_input(wkt)
    name, organisation, code, definition = _describe(crs)
    known = connection.execute(
        "SELECT srs_id FROM gpkg_spatial_ref_sys WHERE organization = ? COLLATE NOCASE "
        "AND organization_coordsys_id = ? AND (organization != 'NONE' OR definition = ?)",
        (organisation, code, definition),
    ).fetchone()
    if known:
        return int(known[0])
    taken = {number for (number,) in connection.execute("SELECT srs_id FROM gpkg_spatial_ref_sys")}
    number = code if code not in taken else max(OWN_SRS, *(n + 1 for n in taken))
    row = (name, number, organisation, code if organisation != "NONE" else number, definition)
    connection.execute(
        "INSERT INTO gpkg_spatial_ref_sys (srs_name, srs_id, organization, organization_coordsys_id, definition) "
        "VALUES (?, ?, ?, ?, ?)",
        row,
    )
    if crs is not None and definition == "undefined":
        _add_wkt2(connection, number, crs)
    return number


def create_layer(connection: sqlite3.Connection, layer: LayerTable, moment: str) -> None:
    """Add a layer's table with its spatial index and its entries in the GeoPackage's own tables."""
    columns = "".join(f', "{name}" {kind}' for name, kind in layer.columns.items())
    number = "fid INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL"
    # The geometry comes last: SQLite holds a blob of zeros in memory unless it ends the row.
    connection.execute(f'CREATE TABLE "{layer.table}" ({number}{columns}, "{COLUMN}" {layer.geometry})')
    connection.execute(
        "INSERT INTO gpkg_contents (table_name, data_type, identifier, description, last_change, srs_id) "
        "VALUES (?, 'features', ?, ?, ?, ?)",
        (layer.table, layer.identifier, layer.description, moment, layer.srs),
    )
    connection.execute("INSERT INTO gpkg_ogr_contents VALUES (?, 0)", (layer.table,))
    row = (layer.table, COLUMN, layer.geometry, layer.srs)
    connection.execute("INSERT INTO gpkg_geometry_columns VALUES (?, ?, ?, ?, 0, 0)", row)
    extension = (layer.table, COLUMN, "gpkg_rtree_index", _RTREE, "write-only")
    connection.execute("INSERT INTO gpkg_extensions VALUES (?, ?, ?, ?, ?)", extension)
    connection.execute(f'CREATE VIRTUAL TABLE "{index_of(layer.table)}" USING rtree(id, minx, maxx, miny, maxy)')


def create_triggers(connection: sqlite3.Connection, table: str) -> None:
    """Add the triggers that keep index and number of features right; plain SQLite cannot insert past them."""
    index = index_of(table)
    words = {
        "t": table,
        "r": index,
        "set": f'INSERT OR REPLACE INTO "{index}" VALUES (NEW.fid, {_BOX})',  # noqa: S608  # a table's name
        "drop": f'DELETE FROM "{index}" WHERE id = OLD.fid',  # noqa: S608
        "count": "UPDATE gpkg_ogr_contents SET feature_count = feature_count",
        "where": f"WHERE lower(table_name) = lower('{table}')",
    }
    for name, body in _TRIGGERS.items():
        connection.execute(f'CREATE TRIGGER "{name.format(**words)}" {body.format(**words)}')


def drop_triggers(connection: sqlite3.Connection, table: str) -> None:
    """Remove a table's triggers."""
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?", (table,))
    for (name,) in names.fetchall():
        connection.execute(f'DROP TRIGGER "{name}"')


def _describe(crs: CRS | None) -> tuple[str, str, int, str]:
    """Give the name of a reference system, its authority and number there, and its definition."""
    if crs is None:
        wkt = 'LOCAL_CS["Undefined SRS",LOCAL_DATUM["unknown",32767],UNIT["unknown",0],AXIS["Easting",EAST],AXIS["Northing",NORTH]]'  # noqa: E501
        return "Undefined SRS", "GDAL", UNDEFINED, wkt
    authority = crs.to_authority(min_confidence=100)
    definition = _wkt1(crs)
    if authority and authority[1].isdigit():
        return crs.name, authority[0], int(authority[1]), definition
    return crs.name, "NONE", OWN_SRS, definition


def _wkt1(crs: CRS) -> str:
    """Give the definition that every GIS reads; ``undefined`` where only WKT 2 can say it."""
    try:
        return crs.to_wkt("WKT1_GDAL") or "undefined"
    except ProjError:
        return "undefined"


def _add_wkt2(connection: sqlite3.Connection, number: int, crs: CRS) -> None:
    """Add the definition in WKT 2, in the column that the standard's extension has for it."""
    names = [row[1] for row in connection.execute("PRAGMA table_info(gpkg_spatial_ref_sys)")]
    if "definition_12_063" not in names:
        connection.execute(
            "ALTER TABLE gpkg_spatial_ref_sys ADD COLUMN definition_12_063 TEXT NOT NULL DEFAULT 'undefined'"
        )
        row = ("gpkg_spatial_ref_sys", "definition_12_063", "gpkg_crs_wkt", _CRS_WKT, "read-write")
        connection.execute("INSERT INTO gpkg_extensions VALUES (?, ?, ?, ?, ?)", row)
    connection.execute(
        "UPDATE gpkg_spatial_ref_sys SET definition_12_063 = ? WHERE srs_id = ?", (crs.to_wkt("WKT2_2015"), number)
    )
