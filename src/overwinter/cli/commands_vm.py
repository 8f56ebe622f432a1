"""``overwinter vm``: the virtual machines of the host."""

from typing import Annotated

import typer

from overwinter.cli.output import Output, facts, size, table
from overwinter.cli.session import AsJson, Directory, session
from overwinter.model.settings import DEFAULT_DIRECTORY

app = typer.Typer(no_args_is_help=True, help="The virtual machines of this host.")


@app.command("list", epilog="Example: overwinter vm list")
def list_vms(directory: Directory = DEFAULT_DIRECTORY, as_json: AsJson = False) -> None:
    """List all virtual machines, and the vault each is protected in."""
    output = Output(as_json=as_json)
    with session(directory, output) as client:
        machines = client.machines()
    rows = [
        (vm.name, vm.state, len(vm.disks), size(sum(d.size for d in vm.disks)), vm.agent_connected, vm.vault)
        for vm in machines
    ]
    output.show(machines, table("NAME", "STATE", "DISKS", "SIZE", "GUEST AGENT", "VAULT", rows=rows))


@app.command("show", epilog="Example: overwinter vm show web01")
def show_vm(
    name: Annotated[str, typer.Argument(help="Name of the VM.")],
    directory: Directory = DEFAULT_DIRECTORY,
    as_json: AsJson = False,
) -> None:
    """Show one virtual machine: state, disks, guest agent."""
    output = Output(as_json=as_json)
    with session(directory, output) as client:
        vm = client.machine(name, ask_guest=True)
    disks = [
        ("system" if d.lun < 0 else d.lun, d.target, size(d.size), d.format, d.layers, d.path)
        for d in vm.disks
    ]
    skipped = [f"Not backed up: {row['target']} ({row['reason']})" for row in vm.skipped_disks]
    output.show(
        vm,
        facts(
            name=vm.name,
            state=f"{vm.state}: {vm.failure}" if vm.failure else vm.state,
            uuid=vm.uuid,
            processors=vm.vcpus,
            memory=size(vm.memory),
            firmware=vm.firmware,
            vault=vm.vault,
            guest_system=vm.agent.os if vm.agent else None,
            guest_agent=f"{vm.agent.state}: {vm.agent.message}" if vm.agent else None,
            agent_version=vm.agent.version if vm.agent else None,
            agent_last_seen=vm.agent.last_seen if vm.agent else None,
        ),
        "",
        table("LUN", "TARGET", "SIZE", "FORMAT", "LAYERS", "FILE", rows=disks),
        *skipped,
    )
