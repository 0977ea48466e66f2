"""What a user may give as a scene: one file, a folder of bands, a mosaic, a VRT, a STAC item, a list of them."""
