"""Durable workflows: backup, restore, protect, unprotect. The only room that ties the others together."""
