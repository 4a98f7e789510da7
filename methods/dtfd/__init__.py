"""DTFD-MIL: pseudo-bags, and a second tier over what is distilled from them."""
