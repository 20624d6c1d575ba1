"""Counters of the service, and the pages that show them."""
