"""What a bag is: readers, the packed cache, manifests, splits and packed batches."""
