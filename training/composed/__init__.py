"""Windows composed of recordings as a stream has them: for own words, and to make a listener of a model of clips."""
