"""Overwinter: Azure VM Backup for your own KVM hosts, on plain libvirt and QEMU.

The rooms, lowest floor first; a room imports only from floors below it:
model, codebook, vault, images, hypervisor, guest, extension, catalog, jobs, doctor, api, portal, cli.
``docs/architecture.md`` shows the house.
"""
