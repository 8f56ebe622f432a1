"""Where things lie in the guest.

Python 3.6, standard library only.
"""

#: In memory, so that nothing said here waits for a frozen file system.
RUN_DIRECTORY = "/run/overwinter"

#: The settings of Azure's own extension; of them ``MountsToSkip`` is obeyed.
SETTINGS_FILE = "/etc/azure/vmbackup.conf"

#: What the extension did, one line each.
LOG_FILE = "/var/log/azure/Overwinter.VMSnapshotLinux/extension.log"
