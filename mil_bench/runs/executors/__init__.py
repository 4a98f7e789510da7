"""Where runs are made: on this machine, on a Ray cluster, or by Slurm."""
