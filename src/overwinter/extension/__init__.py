"""What runs inside the guest: the standard library of Python 3.6 and nothing else, packed into one file."""
