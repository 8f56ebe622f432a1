"""What each error code means: number, title, message, retryable, remedies. Data, not code."""
