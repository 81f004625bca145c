"""Commands of notices."""

from __future__ import annotations

import click

from healthplus.notices.web_push import new_private_key


@click.command("push-key")
def push_key_command() -> None:
    """Print a new key for HEALTHPLUS_PUSH_KEY, by which push services know who sends; another one ends all devices."""
    click.echo(new_private_key())
