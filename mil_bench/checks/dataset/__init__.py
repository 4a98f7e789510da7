"""What ``mil-bench check dataset`` says: a verdict per subject, and the classes by set."""
