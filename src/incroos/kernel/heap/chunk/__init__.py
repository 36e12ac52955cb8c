"""Chunks: a header and a payload, by best fit or by first fit."""
