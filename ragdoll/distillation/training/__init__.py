"""From features to token vectors."""
