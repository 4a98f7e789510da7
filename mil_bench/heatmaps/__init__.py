"""Back to the slide: where a model looked, as pictures, tables and numbers."""
