"""Durable workflows: back up, restore, protect, look after vaults. Only this room ties the others together.

Which file answers which question:

- ``service``: what a caller (the API) may ask for, and what is refused at once
- ``engine``: the workflows, step by step, and the queue they wait in (DBOS); ``again``: steps outlast a lost
  database or libvirt; ``retry``: scheduled backups are tried again; ``explaining``: why a job failed
- ``preflight`` (with ``disk_rules``), ``snapshot`` (with ``window``, the freeze), ``transfer`` (with
  ``increment``, what to read, and ``transferred``, what was done), ``prune``: the parts of a backup
- ``point_admin``: what a caller may ask of points on the host; ``clean_up``: the job that removes them;
  ``merging``: chains follow; ``abandoned``: points of a removed VM
- ``locking``: which locks stand in the way of what; ``shield``: they hold on disk
- ``restore`` (with ``restored_disk``): a recovery point becomes disks or a VM again
- ``schedule``: backups start when policies say so; ``policy_admin``: what a caller may ask of policies;
  ``point_expiry``: until when their points are kept; ``throttle``: a policy's limit on transfers
- ``protection_admin``: what a caller may ask about protection; ``protection``: a VM leaves it; ``deletion``:
  backup data is deleted and had back; ``expiry``: what time takes away; ``follow``: VMs by their UUID
- ``upkeep``: the small loop that starts what nobody asks for
- ``vault_admin``: what a caller may ask of whole vaults; ``vault_work``: the jobs on them; ``reports``: what
  they found; ``vault_points``: the catalog follows what a vault holds
- ``reconcile``: what a crash left behind is put right at start
- ``runtime``, ``progress``, ``vault_stores``, ``start``: what all of them stand on
- ``faults``: places at which tests let the service die
"""
