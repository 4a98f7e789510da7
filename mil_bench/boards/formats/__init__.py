"""Reports as files and on screens: a module per format, all from the same tables."""
