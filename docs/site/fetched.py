"""What a page would ask another host for by itself; a link that somebody follows is none of it."""

import re

ELSEWHERE = r"""["']?(?:https?:)?//"""
FETCHED = re.compile(
    rf"""<(?:script|img|iframe|source|video|audio|object|link|use)\b[^>]*\s(?:src|srcset|data|href)={ELSEWHERE}
    |url\(\s*{ELSEWHERE} | @import""",
    re.VERBOSE,
)
