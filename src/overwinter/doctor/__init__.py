"""Why a backup of a VM would fail, or has: facts, checks of them, and causes by both; nothing is changed."""
