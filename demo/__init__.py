"""The demonstration behind ``make demo``: the main job, done for real, by the commands a user would type."""
