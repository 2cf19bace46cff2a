"""The ledger of parameters: rows and sums, one layout for each architecture, and models built without memory."""

from attn_core.ledger.rows import PARTS, Ledger, Line, Piece, Row, Size

__all__ = ["PARTS", "Ledger", "Line", "Piece", "Row", "Size"]
