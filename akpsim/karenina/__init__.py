"""karenina."""
