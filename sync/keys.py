"""`tieout rotate-key`: a new key for the vault."""

import os
from pathlib import Path

import click

from storage import audit, connections
from storage.vault import FILE_NAME, KEYS_VARIABLE, add_key
from sync.environment import open_environment
from sync.instance import single_instance


def rotate(data_dir: Path) -> int:
    """Seals every secret with the newest key (a new one, if the keys are in the file), and signs with it how far the
    audit log is whole. Gives the exit status.
    """
    with single_instance(data_dir):  # a running Tieout would not know the new key
        named = KEYS_VARIABLE in os.environ
        if not named:
            open_environment().database.close()  # makes the file, if there is none
            add_key(data_dir)
        environment = open_environment()
        with environment.database.write() as conn:
            number = connections.reseal_secrets(conn, environment.vault)
            audit.sign_anew(conn, environment.vault)
        environment.database.close()
    where = KEYS_VARIABLE if named else f"the file {FILE_NAME}"
    click.echo(f"{number} secrets are sealed with the first key of {where}.")
    click.echo("The keys after it are needed only for backups from before; without those, remove them.")
    return 0
