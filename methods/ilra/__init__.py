"""ILRA-MIL: instances exchange what they know through a few latent vectors."""
