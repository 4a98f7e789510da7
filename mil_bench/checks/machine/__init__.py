"""The checks of this machine: software, devices, folders, data."""
