"""Search for better settings: studies of trials that never see a test slide."""
