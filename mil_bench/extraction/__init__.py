"""From slides to bags: tissue, tiles, an encoder, feature files that every tool can read."""
