"""Channels beside Discord: any service that apprise can reach (Slack, Microsoft Teams, Mattermost, e-mail, a webhook).

apprise knows each service's form, limits and pace; a text that is too long is sent in parts. Addresses hold passwords
and tokens, so they are in a secret and in no message, log or error.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from velocast.adapters.channels.card import Card, without_links
from velocast.core.errors import ChannelError, SettingsError

if TYPE_CHECKING:
    from apprise import Apprise

VARIABLE = "VELOCAST_CHANNELS_FILE"
LISTED_IN = "velocast-channels"
GREEN = 0x2E9E5B


def open_channel(file: Path, name: str) -> AddressedChannel:
    """Open one channel of a mounted secret: a line each, `NAME ADDRESS`; a line that begins with # is a comment.

    The other lines are not checked, so that a wrong one does not keep messages from this channel. Raises SettingsError
    unless there is exactly one line for the channel, with an address that apprise can use; the error shows no address.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise SettingsError(
            f"{VARIABLE}: cannot read {file} ({type(exc).__name__}); mount the secret {LISTED_IN} there"
        ) from exc
    # One word alone may be an address without a name, which no message may show.
    pairs = [line.split(maxsplit=1) for line in lines if not line.lstrip().startswith("#")]
    named = [(pair[0], pair[1].strip()) for pair in pairs if len(pair) > 1]
    addresses = [address for known, address in named if known == name]
    if len(addresses) != 1:
        known = ", ".join(sorted({known for known, _ in named})) or "none"
        raise SettingsError(
            f"the city's messages name the channel {name}, for which the secret {LISTED_IN} has {len(addresses)} lines "
            f"(it names {known}); give it one line `{name} ADDRESS`"
        )
    opened = _opened(addresses[0])
    if opened is None:
        raise SettingsError(
            f"secret {LISTED_IN}: apprise does not recognise the address of {name}; write for example "
            f"`{name} https://hooks.slack.com/services/...` (https://appriseit.com/services/)"
        )
    return AddressedChannel(name, opened)


class AddressedChannel:
    """One channel, reached through the address that apprise reads."""

    def __init__(self, name: str, opened: Apprise) -> None:
        self.name = name
        self._opened = opened

    def send(self, card: Card) -> None:
        """Send one message. Raises ChannelError when it was not accepted (Pub/Sub delivers it again)."""
        from apprise import LogCapture, NotifyFormat, NotifyType

        kinds = {"critical": NotifyType.FAILURE, "warning": NotifyType.WARNING}
        usual = NotifyType.SUCCESS if card.color == GREEN else NotifyType.INFO
        # apprise has no annotation here
        with LogCapture(level=_WARNING, fmt="%(message)s") as said:  # type: ignore[no-untyped-call]
            accepted = self._opened.notify(
                body=body(card),
                title=card.title,
                notify_type=kinds.get(card.severity, usual),
                body_format=NotifyFormat.TEXT,
            )
            reason = " ".join(said.getvalue().split())
        if not accepted:
            raise ChannelError(
                f"the channel {self.name} did not accept the message ({reason or 'no reason given'}); Pub/Sub delivers "
                f"it again. Check its address in the secret {LISTED_IN}"
            )


def body(card: Card) -> str:
    """Return a card as plain text: its description, a line for each field, its link and its footer."""
    parts = [
        card.description,
        "\n".join(f"{field.name}: {without_links(field.value)}" for field in card.fields),
        card.url,
        " · ".join(text for text in (card.footer, card.timestamp) if text),
    ]
    return "\n\n".join(part for part in parts if part)


_WARNING = 30  # logging.WARNING; apprise's debug log has addresses


def _opened(address: str) -> Apprise | None:
    """Return apprise with one address; None where it knows no such service."""
    from apprise import Apprise, AppriseAsset, NotifyFormat, OverflowMode

    asset = AppriseAsset(
        app_id="Velocast", app_desc="Velocast", app_url="https://github.com/velocast/velocast"
    )
    asset.async_mode = False
    made = Apprise(asset=asset)
    if not address or not made.add(address) or len(made) != 1:
        return None
    for service in made:
        service.overflow_mode = OverflowMode.SPLIT
        # Escaped for a service's own markup, dates read 2026\\-03\\-01.
        service.notify_format = NotifyFormat.TEXT
    return made
