"""Features that are trained with the method: an adapter, or the last blocks of the encoder."""
