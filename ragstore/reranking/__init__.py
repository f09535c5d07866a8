"""A second look at the best hits: a model that reads the question and a text together. Knows no database."""
