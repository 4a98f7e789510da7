"""What all figures share: colours, sizes and files, and names that can be drawn."""
