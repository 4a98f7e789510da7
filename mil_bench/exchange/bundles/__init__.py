"""Results out and in: protocols, bundles, their repetition."""
