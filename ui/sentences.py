"""Sentences that several pages look at, each typed once. No Streamlit."""

KEYS = "the keys to the cabinet are on the table"
TIRED = "the animal didn't cross the street because it was tired"
EXAMPLES = ("one mole of carbon dioxide", TIRED, KEYS)  # what most pages offer to try
HUNGRY = "a hungry fluffy blue creature"  # what a creature does depends on its being hungry
TOM_GAVE = "anna and tom went to the market . tom gave a book to"  # … anna
ANNA_GAVE = "anna and tom went to the market . anna gave a book to"  # … tom
MOLES = (
    "the american shrew mole digs a burrow",
    "one mole of carbon dioxide weighs 44 grams",
    "take a biopsy of the mole on the skin",
)
