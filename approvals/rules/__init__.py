"""The policy file: its words, its shape, what is impossible in it, and its parts as plain values."""
