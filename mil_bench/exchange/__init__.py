"""The door: models out, predictions in, protocols, bundles and reports."""
