"""Files to text with pages. Knows no database; what reads a file runs in a child process."""
