"""Hardening in full: tags, red zones, quarantine, and what finds a mistake by them."""
