"""Labels to vectors: polygons and centrelines that know no tiles."""
