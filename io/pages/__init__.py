"""HTML pages to look at, complete in themselves, and the pictures and charts in them."""
