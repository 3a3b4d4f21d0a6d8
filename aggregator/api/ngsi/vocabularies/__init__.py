"""@contexts that are shipped: index.json says which URL each file has."""
