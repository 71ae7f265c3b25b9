"""What inference costs on this machine, by stage and depth, and against other engines with the same topology."""
