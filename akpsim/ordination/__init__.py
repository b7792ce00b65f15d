"""ordination."""
