"""Commands to look at what patients say of providers, and to show or hide it."""

from __future__ import annotations

from uuid import UUID

import click

from healthplus.directory.commands import with_database
from healthplus.reviews.reviews import judge, reviews_to_look_at
from healthplus.settings import Settings


@click.group("review")
def review_group() -> None:
    """What patients say of providers."""


@review_group.command("list")
@click.option("--all", "everything", is_flag=True, help="The latest of all, and not only those that were reported.")
@click.pass_obj
def list_reviews_command(settings: Settings, everything: bool) -> None:
    """List reviews that were reported, the oldest first: nobody can read them until they are shown or hidden."""
    rows = with_database(settings, lambda database: reviews_to_look_at(database, everything=everything), reads=True)
    if not rows:
        click.echo("No reviews." if everything else "No review waits to be looked at.")
    for row in rows:
        click.echo(
            f"{row['review_id']}: {row['state']}, {row['reports']} reports, {row['stars']} stars for {row['provider']} "
            f"(provider {row['provider_id']}), {row['written_at']:%Y-%m-%d}\n    {row['text']}"
        )


@review_group.command("show")
@click.argument("review_id", type=click.UUID)
@click.pass_obj
def show_review_command(settings: Settings, review_id: UUID) -> None:
    """Let all read a review; further reports do not hide it, unless its patient writes it again."""
    with_database(settings, lambda database: judge(database, review_id, "shown"))
    click.echo("All can read it.")


@review_group.command("hide")
@click.argument("review_id", type=click.UUID)
@click.pass_obj
def hide_review_command(settings: Settings, review_id: UUID) -> None:
    """Let nobody read a review. Its stars still count."""
    with_database(settings, lambda database: judge(database, review_id, "hidden"))
    click.echo("Nobody can read it.")
