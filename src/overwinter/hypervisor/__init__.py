"""The only room that imports libvirt: inventory, capture, chain commit, define, start."""
