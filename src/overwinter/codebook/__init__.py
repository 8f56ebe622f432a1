"""What each error code means: number, causes, remedies, and the texts in every language. Data, not code."""
