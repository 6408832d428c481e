"""The command grammar: what each verb takes, how its pieces are read in any order, and how it is written back."""
