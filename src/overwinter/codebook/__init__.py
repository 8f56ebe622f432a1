"""What each error code means: number, title, message, retryable, health colour, remedies. Data, not code."""
