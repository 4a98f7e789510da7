"""MHIM-MIL: a student learns from the instances that its teacher finds hard."""
