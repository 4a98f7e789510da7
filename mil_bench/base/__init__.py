"""What every room uses: errors, files, configuration, label trees, registries, console output."""
