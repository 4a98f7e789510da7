"""Split files of other tools, recognised by content and read as a :class:`Listing`."""
