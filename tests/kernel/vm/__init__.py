"""Tests of user spaces."""
