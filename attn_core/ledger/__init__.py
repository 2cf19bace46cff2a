"""The ledger of parameters: rows and sums, one layout for each architecture, and models built without memory."""

from attn_core.ledger.book import PARTS, Ledger, Line
from attn_core.ledger.rows import Piece, Row, Size

__all__ = ["PARTS", "Ledger", "Line", "Piece", "Row", "Size"]
