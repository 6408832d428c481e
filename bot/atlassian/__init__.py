"""The clients of Atlassian's admin APIs, one file an API family, and the Directory that chooses among them."""
