"""Listening: sound from files or a microphone, through the engine's stream, to detections and a live display."""
