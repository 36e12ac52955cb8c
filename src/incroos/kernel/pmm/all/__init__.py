"""All of RAM: the frame database, zones, and blocks of 2**order frames."""
