"""From a model to a device that listens: compiles the listener, sends it over ssh, or writes a card that boots."""
