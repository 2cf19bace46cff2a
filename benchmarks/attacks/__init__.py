"""What `make siege` tries: each attack is one anonymous client, and goes on until it is told to stop.

`links` ask for costly pages, `files` send and fetch large ones, `messages` break the protocol; `client` is shared.
"""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.attacks import files, links, messages
from benchmarks.attacks.client import Stop

ATTACKS: tuple[Callable[[str, Stop], None], ...] = (
    messages.clears_the_cache,
    messages.sends_giant_texts,
    links.opens_links_to_shuffled_words,
    links.opens_links_to_random_weights,
    links.compares_four_long_sentences,
    links.opens_twelve_long_senses,
    links.asks_why_of_long_sentences,
    links.asks_for_flows_and_cards,
    links.asks_for_every_costly_view,
    links.leaves_long_views_open,
    links.leaves_saves_open,
    links.keeps_long_texts,
    links.asks_for_much_and_reads_nothing,
    links.names_models_that_are_none,
    files.downloads_eight_files_at_once,
    messages.forges_what_widgets_hold,
    files.opens_a_saved_view_of_many_openers,
    messages.storms_with_reruns,
    messages.opens_sockets_and_says_nothing,
    messages.sends_what_is_no_message,
    files.uploads_as_much_as_it_may,
    messages.opens_connections_slowly,
)
