"""What `mil-bench doctor` looks at: whether this machine can make runs, and what to do if not."""
