"""Labels to vectors: polygons and centrelines that do not depend on tiles."""
