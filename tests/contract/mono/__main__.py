"""`make mono`: a proxy that Debian's mono-devel generates from our WSDL completes a visit with our service."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from emulators.server import serve
from storage.engine import open_database
from storage.migrate import migrate
from storage.vault import open_vault
from sync import desktop
from sync.clock import FixedClock, SystemRng
from sync.environment import Environment
from sync.web import hooks_app
from tests.integration.test_web_connector import Service, about

CLIENT = Path(__file__).with_name("Visit.cs")
TOOLS = ("wsdl", "mcs", "mono")


def main() -> int:
    missing = [name for name in TOOLS if shutil.which(name) is None]
    if missing:
        print(f"{' and '.join(missing)} not found. On Debian: sudo apt install mono-devel", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as name:
        return _visit(Path(name))


def _visit(directory: Path) -> int:
    database = open_database(None, data_dir=directory)
    migrate(database)
    environment = Environment(
        data_dir=directory,
        demo=True,
        database=database,
        vault=open_vault(directory),
        clock=FixedClock(),
        rng=SystemRng(),
    )
    sign_in = desktop.connect_desktop(environment, "Larkspur", "emulated")
    with serve(hooks_app(environment)) as address:
        told, client = directory / "about.xml", directory / "visit.exe"
        told.write_text(about(Service(environment, address, None, sign_in).file_id()))
        _run("wsdl", f"-out:{directory / 'Proxy.cs'}", f"{address}/qbwc?wsdl")
        _run("mcs", "-r:System.Web.Services", f"-out:{client}", str(CLIENT), str(directory / "Proxy.cs"))
        _run("mono", str(client), f"{address}/qbwc", sign_in.user_name, sign_in.password, str(told))
    database.close()
    return 0


def _run(*command: str) -> None:
    """Raises CalledProcessError; what it says goes to the terminal."""
    subprocess.run(command, check=True, timeout=120)


if __name__ == "__main__":
    sys.exit(main())
