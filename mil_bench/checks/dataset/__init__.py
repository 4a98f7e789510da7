"""The checks of a dataset: ids, labels, patients, features, split and leaks."""
