"""Slabs: pages of objects of one size, and the magazines in front of them."""
