"""What the service counts, and the pages that show it."""
