"""Tests of traces: the formats, the recorder, the replay, and the commands."""
