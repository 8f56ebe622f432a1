"""The commands of the package: a handler's, called by an agent, and the session of one backup.

    install | enable | disable | update | uninstall
    session NAME [HARD-STOP-SECONDS]

Exit status 0: done; 1: not done, the reason is on stderr. Python 3.6, standard library only.
"""

import json
import os
import sys
import zlib
from typing import Any, Dict, List

from overwinter.extension.errors import Unfit


def identity(package: str) -> Dict[str, Any]:
    """Which package this is: version, and size and checksum where it is one file."""
    facts: Dict[str, Any] = {"python": "{}.{}.{}".format(*sys.version_info[:3])}
    if os.path.isfile(package):
        with open(package, "rb") as file:
            content = file.read()
        facts.update(size=len(content), crc=zlib.crc32(content))
    return facts


def main(arguments: List[str], package: str, manifest: bytes) -> int:
    """Carry out one command; ``manifest`` is the package's own description of itself."""
    version = json.loads(manifest.decode("utf-8"))[0]["version"]
    # Each part is loaded only for its own commands: loading takes long on a slow machine.
    try:
        if arguments[0] == "session":
            from overwinter.extension import session

            hard_stop_s = float(arguments[2]) if len(arguments) > 2 else session.HARD_STOP_S
            session.begin(arguments[1], dict(identity(package), version=version), hard_stop_s)
        else:
            from overwinter.extension import handler

            handler.COMMANDS[arguments[0]](handler.environment(os.getcwd()), version)
    except (Unfit, OSError) as error:
        sys.stderr.write("{}\n".format(error))
        return 1
    except (IndexError, KeyError, ValueError):
        sys.stderr.write(__doc__ or "")
        return 1
    return 0
