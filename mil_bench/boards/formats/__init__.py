"""Reports as files and on screens: one file per format, all made from the same tables."""
