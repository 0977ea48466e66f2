"""Dask clusters: how they are opened, checked and encrypted, and how tasks travel through them."""
