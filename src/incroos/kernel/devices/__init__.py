"""Devices that programs use: the channels to the host."""
