"""What is asked of methods and datasets, own or outside, and where one does not keep it."""
