"""Recordings: reading, splits, tasks, checking, downloading, synthesising."""
