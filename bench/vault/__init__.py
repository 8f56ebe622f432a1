"""Does the vault keep what it promises at sizes that no small disk shows? See docs/benchmarks.md."""
