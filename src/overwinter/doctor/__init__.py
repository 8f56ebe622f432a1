"""Why a backup of a VM would fail, or has: facts are gathered, checks judge them, nothing is changed."""
