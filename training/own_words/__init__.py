"""Own words: a shipped model's weights as a start, streams of the user's words to learn from, and the fine-tuning."""
