"""Cards of methods and datasets on the terminal and as pages, and the file of a new method."""
